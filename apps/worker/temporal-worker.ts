import type { ErasureActivities } from '#activities/erasure.activities';
import type { RolloutActivities } from '#activities/rollout.activities';
import { ensureSearchAttributes } from '#libs/control';
import type { Logger } from '#libs/platform';
import { rolloutTaskQueue } from '#workflows/rollout/contract';
import { OpenTelemetryActivityInboundInterceptor } from '@temporalio/interceptors-opentelemetry/lib/worker/index.js';
import type { OpenTelemetrySinks } from '@temporalio/interceptors-opentelemetry/lib/workflow/definitions.js';
import { NativeConnection, Worker, type InjectedSinks } from '@temporalio/worker';
import { setTimeout as pause } from 'node:timers/promises';

export interface TemporalWorkerSettings {
  /** host:port */
  address: string;
  namespace: string;
  bundle: { code: string } | { codePath: string };
  activities: RolloutActivities & ErasureActivities;
  sinks: InjectedSinks<OpenTelemetrySinks>;
  logger: Logger;
  /** Called each time it begins to poll. */
  onPolling: () => void;
}

const retryMs = 1_000;
/** Cached workflows live in the isolate's memory; a rollout that was put out of it is replayed when it is needed. */
const cachedWorkflows = 20;
const activitySlots = 40;
const pollers = 2;
const graceSeconds = 5;
const stickySeconds = 3;

/** A worker for as long as it is wanted: Temporal being away at the start, or going away later, only makes it wait. */
export class TemporalWorker implements AsyncDisposable {
  private readonly stopping = new AbortController();
  private worker: Worker | undefined;
  private running: Promise<void> = Promise.resolve();
  private isWaiting = false;

  constructor(private readonly settings: TemporalWorkerSettings) {}

  start(): void {
    this.running = this.runUntilStopped();
  }

  /** Takes no new work, gives activities a moment to end, and returns when all is quiet. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.stopping.abort();
    if (this.worker?.getState() === 'RUNNING') this.worker.shutdown();
    await this.running;
  }

  private async runUntilStopped(): Promise<void> {
    while (!this.stopping.signal.aborted) {
      try {
        await this.runOnce();
      } catch (failure) {
        this.tellOnce(failure);
        await pause(retryMs, undefined, { signal: this.stopping.signal }).catch(() => undefined);
      }
    }
  }

  private async runOnce(): Promise<void> {
    const { address, namespace, logger, onPolling } = this.settings;
    const connection = await NativeConnection.connect({ address });
    try {
      await ensureSearchAttributes(connection, namespace);
      this.worker = await this.createWorker(connection);
      if (this.stopping.signal.aborted) return;
      const run = this.worker.run();
      logger.info({ address }, 'polling for work');
      this.isWaiting = false;
      onPolling();
      await run;
    } finally {
      this.worker = undefined;
      await connection.close();
    }
  }

  private async createWorker(connection: NativeConnection): Promise<Worker> {
    const { namespace, bundle, activities, sinks } = this.settings;
    return Worker.create({
      connection,
      namespace,
      taskQueue: rolloutTaskQueue,
      workflowBundle: bundle,
      activities,
      sinks,
      interceptors: { activity: [(ctx) => ({ inbound: new OpenTelemetryActivityInboundInterceptor(ctx) })] },
      maxCachedWorkflows: cachedWorkflows,
      reuseV8Context: true,
      maxConcurrentActivityTaskExecutions: activitySlots,
      maxConcurrentActivityTaskPolls: pollers,
      maxConcurrentWorkflowTaskPolls: pollers,
      // A workflow whose worker was killed waits this long before another worker may have it.
      stickyQueueScheduleToStartTimeout: `${stickySeconds} s`,
      shutdownGraceTime: `${graceSeconds} s`,
      shutdownForceTime: `${2 * graceSeconds} s`,
    });
  }

  // One line when it goes away, one when it is back: not one per attempt.
  private tellOnce(failure: unknown): void {
    if (this.isWaiting || this.stopping.signal.aborted) return;
    this.isWaiting = true;
    this.settings.logger.warn(
      { err: failure, address: this.settings.address },
      'Temporal cannot be reached; waiting for it',
    );
  }
}
