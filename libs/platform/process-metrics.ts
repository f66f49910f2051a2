import type { Meter } from '@opentelemetry/api';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { secondsToMs } from '#libs/kernel';

const windowMs = secondsToMs(10);
// A finer clock would wake the process so often that it is felt.
const resolutionMs = 10;
const quantiles = [0.5, 0.99, 1] as const;
const nanosecondsPerSecond = 1e9;

/**
 * How this process itself does: how late its event loop is and how much memory it has. The delay is that of the last whole
 * window of ten seconds, so that one bad moment is neither lost between two scrapes nor shown for ever.
 */
export class ProcessMetrics implements Disposable {
  private readonly delay = monitorEventLoopDelay({ resolution: resolutionMs });
  private readonly turn: NodeJS.Timeout;
  private lastWindow: Readonly<Record<number, number>> | undefined;

  constructor(meter: Meter) {
    this.delay.enable();
    this.turn = setInterval(() => this.endWindow(), windowMs);
    this.turn.unref();
    meter
      .createObservableGauge('sluice_platform_event_loop_delay_seconds', {
        description: 'How late the event loop ran a timer in the last ten seconds, by quantile',
      })
      .addCallback((result) => {
        const delays = this.lastWindow ?? this.delays();
        for (const quantile of quantiles) result.observe(delays[quantile] ?? 0, { quantile: String(quantile) });
      });
    meter
      .createObservableGauge('sluice_platform_resident_memory_bytes', {
        description: 'Resident memory of the process',
      })
      .addCallback((result) => result.observe(process.memoryUsage.rss()));
  }

  [Symbol.dispose](): void {
    clearInterval(this.turn);
    this.delay.disable();
  }

  private endWindow(): void {
    this.lastWindow = this.delays();
    this.delay.reset();
  }

  // The histogram counts the whole time between two ticks; what goes beyond its resolution is the delay.
  private delays(): Record<number, number> {
    if (this.delay.count === 0) return {};
    const delayAt = (quantile: number): number =>
      Math.max(0, this.delay.percentile(quantile * 100) / nanosecondsPerSecond - resolutionMs / 1_000);
    return Object.fromEntries(quantiles.map((quantile) => [quantile, delayAt(quantile)]));
  }
}
