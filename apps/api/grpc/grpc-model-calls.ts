import { actorOf, type Action, type Principal } from '#libs/access';
import { sluiceError } from '#libs/kernel';
import { visibleTo } from '../http/visible-state.js';
import { modelConfig } from '../inference/oip-config.js';
import { isModelReady, modelMetadata, serverMetadata } from '../inference/oip-metadata.js';
import { indexOf, refuseOverrides } from '../inference/oip-repository.js';
import { logSettings, notHere, traceSettings } from '../inference/oip-settings.js';
import { allStatistics, modelStatistics } from '../inference/oip-statistics.js';
import { knownEndpoint } from '../inference/oip-model-routes.js';
import type { GrpcCall } from './grpc-call.js';
import type { GrpcServiceParts } from './grpc-service.js';

/** A call with one answer. `action` is what its caller has to be allowed; undefined is open to all. */
export interface UnaryCall {
  readonly action: Action | undefined;
  /** @param principal there for each call that has an action */
  answer(request: unknown, call: GrpcCall, principal: Principal): unknown;
}

interface ModelRef {
  name: string;
  version: string;
}
interface RepositoryRequest {
  repository_name: string;
  model_name: string;
  parameters: object;
}
interface SettingRequest {
  settings: object;
  model_name?: string;
}

const opened = (answer: UnaryCall['answer']): UnaryCall => ({ action: undefined, answer });
const reading = (answer: UnaryCall['answer']): UnaryCall => ({ action: 'model.metadata', answer });
const writing = (answer: UnaryCall['answer']): UnaryCall => ({ action: 'endpoint.write', answer });

/** All calls of `inference.GRPCInferenceService` but those that infer. */
export function modelCalls(parts: GrpcServiceParts): Record<string, UnaryCall> {
  const { state, inference } = parts;
  const isUp = (versionKey: string): boolean => inference.hasReadyReplica(versionKey);
  return {
    ServerLive: opened(() => ({ live: true })),
    ServerReady: opened(() => ({ ready: parts.isReady() })),
    ServerMetadata: reading(() => serverMetadata(parts.version)),
    ModelReady: reading(({ name, version }: ModelRef, _call, principal) => ({
      ready: isModelReady(knownEndpoint(visibleTo(principal, state), name), version || undefined, isUp),
    })),
    ModelMetadata: reading(({ name, version }: ModelRef, _call, principal) =>
      modelMetadata(knownEndpoint(visibleTo(principal, state), name), version || undefined),
    ),
    ModelConfig: reading(({ name, version }: ModelRef, _call, principal) => ({
      config: modelConfig(
        knownEndpoint(visibleTo(principal, state), name),
        version || undefined,
        state.snapshot,
        (served) => inference.schedulingOf(served),
      ),
    })),
    ModelStatistics: reading(({ name, version }: ModelRef, _call, principal) => ({
      model_stats:
        name === ''
          ? allStatistics(visibleTo(principal, state).snapshot, inference.statistics)
          : modelStatistics(
              knownEndpoint(visibleTo(principal, state), name),
              version || undefined,
              inference.statistics,
            ),
    })),
    ...repositoryCalls(parts, isUp),
    ...settingCalls(parts),
  };
}

function repositoryCalls(
  { state, loading, isDraining }: GrpcServiceParts,
  isUp: (versionKey: string) => boolean,
): Record<string, UnaryCall> {
  const control = (verb: 'load' | 'unload'): UnaryCall =>
    writing(async ({ repository_name, model_name, parameters }: RepositoryRequest, { requestId, over }, principal) => {
      refuseRepositoryName(repository_name);
      refuseOverrides(parameters);
      if (isDraining()) throw sluiceError('SLU_INFERENCE_DRAINING', {}, { retryAfterSeconds: 2 });
      await loading[verb]({ endpoint: model_name, actor: actorOf(principal), requestId, signal: over });
      return {};
    });
  return {
    RepositoryIndex: reading(
      ({ repository_name, ready }: { repository_name: string; ready: boolean }, _call, principal) => {
        refuseRepositoryName(repository_name);
        return { models: indexOf(visibleTo(principal, state).snapshot, isUp, ready) };
      },
    ),
    RepositoryModelLoad: control('load'),
    RepositoryModelUnload: control('unload'),
  };
}

function settingCalls({ state, settings }: GrpcServiceParts): Record<string, UnaryCall> {
  const status = reading(() => ({ regions: {} }));
  const register = reading(() => {
    throw notHere.sharedMemory();
  });
  // There never is a region, so there is nothing left of any.
  const unregister = reading(() => ({}));
  return {
    SystemSharedMemoryStatus: status,
    SystemSharedMemoryRegister: register,
    SystemSharedMemoryUnregister: unregister,
    CudaSharedMemoryStatus: status,
    CudaSharedMemoryRegister: register,
    CudaSharedMemoryUnregister: unregister,
    TraceSetting: reading((asked: SettingRequest, _call, principal) => {
      if (asked.model_name) knownEndpoint(visibleTo(principal, state), asked.model_name);
      if (Object.keys(asked.settings).length > 0) throw notHere.trace();
      const entries = Object.entries(traceSettings(settings));
      return { settings: Object.fromEntries(entries.map(([name, value]) => [name, { value: [value].flat() }])) };
    }),
    LogSettings: reading((asked: SettingRequest) => {
      if (Object.keys(asked.settings).length > 0) throw notHere.log();
      const entries = Object.entries(logSettings(settings));
      return { settings: Object.fromEntries(entries.map(([name, value]) => [name, logValueOf(value)])) };
    }),
  };
}

function logValueOf(value: string | number | boolean): object {
  if (typeof value === 'boolean') return { bool_param: value };
  return typeof value === 'number' ? { uint32_param: value } : { string_param: value };
}

function refuseRepositoryName(name: string): void {
  if (name === '') return;
  const problem = 'is not supported: there is one repository, leave it out';
  throw sluiceError('SLU_INFERENCE_INPUT', { field: 'repository_name', problem });
}
