import type { RolloutActivities } from '#activities/rollout.activities';
import { defaultGuardrails, type EvidenceSegment } from '#libs/decisions';
import type {
  CapacityAnswer,
  CapacityAsk,
  CommandAnswer,
  CommandRequest,
  FinishAsk,
  ProgressRecord,
  RolloutCommand,
  RolloutInput,
  RolloutSpec,
  RouteAsk,
  SenseAsk,
} from '#workflows/rollout/contract';
import { endpointAttribute, modelVersionAttribute, phaseAttribute } from '#workflows/rollout/search-attributes';
import { TestWorkflowEnvironment } from '@temporalio/testing';
import { DefaultLogger, Runtime, Worker, type WorkflowBundleWithSourceMap } from '@temporalio/worker';
import { randomUUID } from 'node:crypto';
import { bundleWorkflows } from '../../apps/worker/workflow-bundle.ts';
import { timeSkippingServerExecutable } from '../support/temporal.ts';

/** What the world does in one play. Each part may be left out: then all is well. */
export interface Script {
  /** What the routers have counted, for the routes written so far. */
  evidence?: (ask: SenseAsk, look: number) => EvidenceSegment[] | Promise<EvidenceSegment[]>;
  capacity?: (ask: CapacityAsk) => Partial<CapacityAnswer> | Promise<Partial<CapacityAnswer>>;
  route?: (ask: RouteAsk) => Promise<void>;
}

/** What the rollout did to the world. */
export interface Deeds {
  routes: RouteAsk[];
  lines: ProgressRecord[];
  capacity: CapacityAsk[];
  drained: string[];
  finished: FinishAsk[];
  looks: number;
}

/** Written into histories, which must not depend on the machine. */
const identity = 'stage';

/** Temporal's number for the type of a search attribute. */
const keyword = 2;

/** A bucket of about 2.5 ms. */
const quickBucket = '160';

/** So many answered requests per arm in each segment, with this share of failures in the candidate. */
export function counted(ask: SenseAsk, candidateRequests: number, candidateErrorShare = 0): EvidenceSegment[] {
  return ask.revisions.map(() => ({
    stable: { requests: 4_000, errors: 4, latency: quickAnswers(4_000) },
    candidate: {
      requests: candidateRequests,
      errors: Math.round(candidateRequests * candidateErrorShare),
      latency: quickAnswers(candidateRequests),
    },
  }));
}

const quickAnswers = (count: number): Record<string, number> => (count === 0 ? {} : { [quickBucket]: count });

export const spec: RolloutSpec = {
  endpoint: 'tone',
  model: 'tone',
  stableVersion: '1',
  candidateVersion: '2',
  strategy: 'canary',
  steps: [
    { weight: 5, minRequests: 200 },
    { weight: 25, minRequests: 200 },
    { weight: 50, minRequests: 200 },
  ],
  replicas: 1,
  guardrails: defaultGuardrails,
  stepLimitSeconds: 6 * 3_600,
  onUndecided: 'hold',
  loadLimitSeconds: 300,
  drainSeconds: 5,
};

/** Only errors of Temporal's own are worth a line in a test's output. */
export function quietRuntime(): void {
  Runtime.install({
    shutdownSignals: [],
    logger: new DefaultLogger('ERROR'),
    telemetryOptions: { logging: { forward: {}, filter: 'ERROR' } },
  });
}

/** A Temporal server whose clock jumps over waits, and the workflows as they are shipped. */
export class RolloutStage implements AsyncDisposable {
  // Plain fields: this file is also run by Node, which strips types but knows no parameter properties.
  readonly env: TestWorkflowEnvironment;
  readonly bundle: WorkflowBundleWithSourceMap;

  private constructor(env: TestWorkflowEnvironment, bundle: WorkflowBundleWithSourceMap) {
    this.env = env;
    this.bundle = bundle;
  }

  static async open(): Promise<RolloutStage> {
    quietRuntime();
    const path = await timeSkippingServerExecutable();
    const env = await TestWorkflowEnvironment.createTimeSkipping({
      server: { executable: { type: 'existing-path', path } },
      client: { identity },
    });
    try {
      // This server can add search attributes, but not list them.
      const searchAttributes = Object.fromEntries(
        [endpointAttribute, modelVersionAttribute, phaseAttribute].map(({ name }) => [name, keyword]),
      );
      await env.connection.operatorService.addSearchAttributes({
        namespace: env.namespace ?? 'default',
        searchAttributes,
      });
      return new RolloutStage(env, await bundleWorkflows());
    } catch (failure) {
      await env.teardown();
      throw failure;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.env.teardown();
  }

  /** Runs one rollout beside `scene`, which drives it as a person would. @returns its result, deeds and history */
  async play<T>(script: Script, changes: Partial<RolloutSpec>, scene: (actor: Actor) => Promise<T>) {
    const rolloutId = randomUUID();
    const deeds: Deeds = { routes: [], lines: [], capacity: [], drained: [], finished: [], looks: 0 };
    const taskQueue = `stage-${rolloutId}`;
    const worker = await Worker.create({
      connection: this.env.nativeConnection,
      taskQueue,
      identity,
      workflowBundle: this.bundle,
      activities: scriptedActivities(script, deeds),
      sinks: { exporter: { export: { fn: () => undefined } } },
    });
    return worker.runUntil(async () => {
      const input: RolloutInput = { rolloutId, spec: { ...spec, ...changes }, startedBy: 'key:test' };
      const handle = await this.env.client.workflow.start('rollout', {
        workflowId: `rollout:${rolloutId}`,
        taskQueue,
        args: [input],
        typedSearchAttributes: [
          { key: endpointAttribute, value: input.spec.endpoint },
          { key: modelVersionAttribute, value: `${input.spec.model}/${input.spec.candidateVersion}` },
          { key: phaseAttribute, value: 'requested' },
        ],
      });
      const actor = new Actor(this.env, handle, deeds);
      const seen = await scene(actor);
      return { deeds, seen, result: (await handle.result()) as { outcome: string; reason: string }, handle };
    });
  }
}

type Handle = Awaited<ReturnType<TestWorkflowEnvironment['client']['workflow']['start']>>;

/** The person at the controls. */
export class Actor {
  private readonly env: TestWorkflowEnvironment;
  readonly handle: Handle;
  readonly deeds: Deeds;

  constructor(env: TestWorkflowEnvironment, handle: Handle, deeds: Deeds) {
    this.env = env;
    this.handle = handle;
    this.deeds = deeds;
  }

  command(command: RolloutCommand, request: CommandRequest = { actor: 'key:person' }): Promise<CommandAnswer> {
    return this.handle.executeUpdate<CommandAnswer, [CommandRequest]>(command, { args: [request] });
  }

  async phase(): Promise<string> {
    return (await this.handle.query<{ phase: string }>('state')).phase;
  }

  /** Lets the server's clock run on by so much. */
  async pass(seconds: number): Promise<void> {
    await this.env.sleep(seconds * 1_000);
  }

  async until(isTrue: () => boolean | Promise<boolean>): Promise<void> {
    while (!(await isTrue())) await new Promise((resolve) => setTimeout(resolve, 10));
  }

  async untilPhase(phase: string): Promise<void> {
    await this.until(async () => (await this.phase()) === phase);
  }
}

function scriptedActivities(script: Script, deeds: Deeds): RolloutActivities {
  return {
    prepareVersion: async (ask) => {
      deeds.capacity.push(ask);
      return {
        isReady: true,
        ready: Math.max(1, ask.replicas),
        desired: Math.max(1, ask.replicas),
        ...(await script.capacity?.(ask)),
      };
    },
    writeRoute: async (ask) => {
      await script.route?.(ask);
      deeds.routes.push(ask);
      return { revision: deeds.routes.length + 1 };
    },
    sense: async (ask) => {
      deeds.looks += 1;
      return { evidence: { segments: (await script.evidence?.(ask, deeds.looks)) ?? counted(ask, 400) } };
    },
    recordProgress: async (progress) => {
      deeds.lines.push(progress);
      return 'written';
    },
    drainVersion: async ({ version }) => {
      deeds.drained.push(version);
      return { isDrained: true };
    },
    finish: async (ask) => {
      deeds.finished.push(ask);
    },
  };
}
