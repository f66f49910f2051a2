import type { Telemetry } from '#libs/platform';

export interface FinishedRun {
  traceparent: string | undefined;
  startedAt: Date;
  endedAt: Date;
  attributes: Record<string, string | number>;
  /** No text of the failure goes into a trace: what a model says may quote its input. */
  hasFailed: boolean;
}

export interface RunTraceSettings {
  /** Unset: nothing is traced. */
  otlpEndpoint: string | undefined;
  version: string;
}

interface LoadedTelemetry {
  telemetry: Telemetry;
  platform: typeof import('#libs/platform');
  api: typeof import('@opentelemetry/api');
}

const flushDeadlineMs = 2_000;

/**
 * Emits a `replica.run` span for each run of a sampled trace. Telemetry is loaded at the first of them, because a server
 * that traces nothing shall not pay its memory; spans are written after the run, so no run waits for the loading.
 */
export class RunTrace {
  private telemetry: Promise<LoadedTelemetry> | undefined;

  constructor(private readonly settings: RunTraceSettings) {}

  isWanted(traceparent: string | undefined): traceparent is string {
    if (this.settings.otlpEndpoint === undefined || this.settings.otlpEndpoint === '') return false;
    return traceparent !== undefined && sampled.test(traceparent);
  }

  finished(run: FinishedRun): void {
    if (!this.isWanted(run.traceparent)) return;
    this.telemetry ??= this.start();
    // Telemetry that cannot start costs spans and nothing else.
    void this.telemetry.then((loaded) => emit(run, loaded)).catch(() => undefined);
  }

  async flush(): Promise<void> {
    const { telemetry } = this;
    if (telemetry === undefined) return;
    const deadline = new Promise<void>((resolve) => void setTimeout(resolve, flushDeadlineMs).unref());
    const flushed = telemetry.then((started) => started.telemetry[Symbol.asyncDispose]()).catch(() => undefined);
    await Promise.race([flushed, deadline]);
  }

  private async start(): Promise<LoadedTelemetry> {
    const [platform, api] = await Promise.all([import('#libs/platform'), import('@opentelemetry/api')]);
    const { otlpEndpoint, version } = this.settings;
    const telemetry = await platform.startTelemetry({
      service: 'sluice-model-server',
      version,
      otlpEndpoint,
      sampling: 0,
    });
    return { telemetry, platform, api };
  }
}

function emit(run: FinishedRun, { telemetry, platform, api }: LoadedTelemetry): void {
  const parent = platform.contextOfTraceparent(run.traceparent);
  const timing = { startTime: run.startedAt, attributes: run.attributes };
  const span = telemetry.tracer.startSpan('replica.run', timing, parent);
  if (run.hasFailed) span.setStatus({ code: api.SpanStatusCode.ERROR });
  span.end(run.endedAt);
}

/** The W3C form with the sampled flag, the lowest bit of the last byte. */
const sampled = /^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f][13579bdf]/;
