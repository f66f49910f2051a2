import { timeOrderedId } from '#libs/platform';
import type { SubjectPseudonyms } from '#libs/audit';
import type { EndpointLoading, InferAsk, InferenceService, InferOutcome, ServingState } from '#libs/inference';
import type { Budgets, Principal } from '#libs/access';
import { sluiceError } from '#libs/kernel';
import type { Logger } from '#libs/platform';
import type {
  handleUnaryCall,
  sendUnaryData,
  ServerDuplexStream,
  ServerUnaryCall,
  UntypedServiceImplementation,
} from '@grpc/grpc-js';
import type { Admissions } from '../http/admissions.js';
import type { Gatekeeper } from '../http/gatekeeper.js';
import { holderOf, subjectHeader } from '../http/request-holder.js';
import type { ServerSettingsView } from '../inference/oip-settings.js';
import { GrpcCall } from './grpc-call.js';
import type { GrpcInferRequest, GrpcInferResponse } from './grpc-messages.js';
import { modelCalls, type UnaryCall } from './grpc-model-calls.js';
import { grpcProtocol, type GrpcAsk } from './grpc-protocol.js';
import { asSluiceError } from './grpc-status.js';
import { answerInOrder } from './grpc-stream.js';

export interface GrpcServiceParts {
  inference: Pick<InferenceService, 'hasReadyReplica' | 'schedulingOf' | 'statistics'> & {
    infer(ask: InferAsk<GrpcInferResponse>): Promise<InferOutcome<GrpcInferResponse>>;
  };
  state: Pick<ServingState, 'endpoint' | 'snapshot'>;
  loading: Pick<EndpointLoading, 'load' | 'unload'>;
  gatekeeper: Pick<Gatekeeper, 'admit'>;
  /** Left out, no request is about a named person. */
  pseudonyms?: Pick<SubjectPseudonyms, 'of'> | undefined;
  admissions: Pick<Admissions, 'enter'>;
  /** Keeps the accounts of requests; left out: nothing is counted. */
  budgets?: Pick<Budgets, 'meter'> | undefined;
  settings: ServerSettingsView;
  isReady: () => boolean;
  isDraining: () => boolean;
  log: Logger;
  version: string;
}

const nobody = null as unknown as Principal;

interface StreamAnswer {
  error_message?: string;
  infer_response: Partial<GrpcInferResponse>;
}

// Each request has one answer, which is its last one as well: an empty one behind it would be one too many.
const finalResponse = { triton_final_response: { bool_param: true } };

/** The calls of `inference.GRPCInferenceService`, on the same parts as the HTTP routes. */
export class GrpcService {
  constructor(private readonly parts: GrpcServiceParts) {}

  get handlers(): UntypedServiceImplementation {
    const calls = Object.entries(modelCalls(this.parts));
    return {
      ...Object.fromEntries(calls.map(([name, call]) => [name, this.unary(call)])),
      ModelInfer: (call: ServerUnaryCall<GrpcInferRequest, GrpcInferResponse>, done: sendUnaryData<unknown>) =>
        void this.infer(call, done),
      ModelStreamInfer: (stream: ServerDuplexStream<GrpcInferRequest, StreamAnswer>) => void this.inferStream(stream),
    };
  }

  /** Answers the health checking protocol: the server as a whole, or the inference service by its name. */
  readonly health: UntypedServiceImplementation = {
    Check: this.unary({
      action: undefined,
      answer: ({ service }: { service: string }) => {
        if (service !== '' && service !== 'inference.GRPCInferenceService')
          throw sluiceError('SLU_REQUEST_NOT_FOUND', { path: service.slice(0, 100) });
        return { status: this.parts.isReady() ? 'SERVING' : 'NOT_SERVING' };
      },
    }),
  };

  private unary({ action, answer }: UnaryCall): handleUnaryCall<unknown, unknown> {
    const work = async (given: ServerUnaryCall<unknown, unknown>, done: sendUnaryData<unknown>): Promise<void> => {
      const call = new GrpcCall(given);
      try {
        // What is open to all looks at nobody.
        const principal = action === undefined ? nobody : await this.parts.gatekeeper.admit(call.admitted, action);
        done(null, await answer(given.request, call, principal));
      } catch (failure) {
        done(this.refusalOf(call, failure));
      }
    };
    return (given, done) => void work(given, done);
  }

  private async infer(
    given: ServerUnaryCall<GrpcInferRequest, GrpcInferResponse>,
    done: sendUnaryData<unknown>,
  ): Promise<void> {
    const call = new GrpcCall(given);
    try {
      const admitted = this.parts.gatekeeper.admit(call.admitted, 'infer');
      const principal = admitted instanceof Promise ? await admitted : admitted;
      const outcome = await this.admittedInfer(given.request, call, principal, call.requestId);
      call.sendHead(outcome);
      if (outcome.error === undefined) done(null, outcome.payload);
      else done(call.errorOf(outcome.error));
    } catch (failure) {
      done(this.refusalOf(call, failure));
    }
  }

  private async inferStream(stream: ServerDuplexStream<GrpcInferRequest, StreamAnswer>): Promise<void> {
    const call = new GrpcCall(stream);
    try {
      const principal = await this.parts.gatekeeper.admit(call.admitted, 'infer');
      const admission = await this.parts.admissions.enter(principal, call.requestId, { isOpening: true });
      try {
        await answerInOrder(stream, (request) => this.answerOf(request, call, principal), call.over);
      } finally {
        admission.release();
      }
    } catch (failure) {
      // A client that has gone needs no status, and its half-read message is no news.
      if (!call.over.aborted) stream.emit('error', this.refusalOf(call, failure));
    }
  }

  /** On a stream a failed request is an answer like any other; only the stream's own failure ends it. */
  private async answerOf(request: GrpcInferRequest, call: GrpcCall, principal: Principal): Promise<StreamAnswer> {
    const wantsFinal = request.parameters['triton_enable_empty_final_response']?.bool_param === true;
    const { error, payload } = await this.admittedInfer(request, call, principal, timeOrderedId(new Date())).catch(
      (failure: unknown) => ({ error: asSluiceError(failure), payload: undefined }),
    );
    if (payload === undefined) {
      const { id, model_name, model_version } = request;
      const text = asSluiceError(error).message;
      const parameters = wantsFinal ? finalResponse : {};
      return { error_message: text, infer_response: { id, model_name, model_version, parameters, outputs: [] } };
    }
    if (wantsFinal) payload.parameters = finalResponse;
    return { infer_response: payload };
  }

  private async admittedInfer(
    request: GrpcInferRequest,
    call: GrpcCall,
    principal: Principal,
    requestId: string,
  ): Promise<InferOutcome<GrpcInferResponse>> {
    const entering = this.parts.admissions.enter(principal, requestId, { endpoint: request.model_name });
    // Counted in process, it is there already.
    const admission = entering instanceof Promise ? await entering : entering;
    try {
      const meter = this.parts.budgets?.meter(principal, requestId);
      return await this.parts.inference.infer({ ...this.askOf(request, call, principal, requestId), meter });
    } finally {
      admission.release();
    }
  }

  private refusalOf(call: GrpcCall, failure: unknown) {
    const error = asSluiceError(failure);
    if (error.code === 'SLU_INTERNAL')
      this.parts.log.error({ requestId: call.requestId, err: error.cause }, 'a gRPC call failed on our side');
    return call.errorOf(error);
  }

  private askOf(
    request: GrpcInferRequest,
    call: GrpcCall,
    principal: Principal,
    requestId: string,
  ): InferAsk<GrpcInferResponse> {
    const body: GrpcAsk = { request, timeoutMs: call.timeoutMs };
    return {
      endpoint: request.model_name,
      version: request.model_version === '' ? undefined : request.model_version,
      body,
      protocol: grpcProtocol,
      bytesIn: request.raw_input_contents.reduce((sum, { length }) => sum + length, 0),
      requestId,
      stickyKey: call.header('sluice-sticky-key'),
      keyId: principal.keyId,
      tenant: principal.tenantId,
      visible: principal.endpoints,
      holder: holderOf(principal, this.parts.pseudonyms, call.header(subjectHeader)),
      traceparent: call.header('traceparent'),
      caller: call.presence,
    };
  }
}
