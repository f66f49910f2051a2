import { systemClock, type Clock } from '#libs/kernel';
import type { Logger } from '#libs/platform';
import type { Change, ChangeFeedListener } from '#libs/store';
import type { PayloadWindows } from './payload-windows.js';

/**
 * Which endpoints' payloads are logged now, in memory: one look per request. When a window ends by itself nobody needs to
 * say so; and what a process believes wrongly for a moment is refused by the database when it is to be written.
 */
export class OpenWindows implements ChangeFeedListener {
  private endsMs: ReadonlyMap<string, number> = new Map();
  private reading: Promise<void> | undefined;
  private isReadingDue = false;

  constructor(
    private readonly windows: Pick<PayloadWindows, 'remaining'>,
    private readonly log: Logger,
    private readonly clock: Clock = systemClock,
  ) {}

  isOpen(endpoint: string): boolean {
    if (this.endsMs.size === 0) return false;
    const endsMs = this.endsMs.get(endpoint);
    return endsMs !== undefined && this.clock.monotonicMs() < endsMs;
  }

  /** Resolves when what the table says is known here. */
  async load(): Promise<void> {
    this.isReadingDue = true;
    this.reading ??= this.read().finally(() => (this.reading = undefined));
    await this.reading;
  }

  onChange({ table }: Change): void {
    if (table === 'payload_windows') void this.load();
  }

  onConnected(): void {
    void this.load();
  }

  onLost(): void {
    // Nothing can be written meanwhile, and what is known ends by itself.
  }

  private async read(): Promise<void> {
    while (this.isReadingDue) {
      this.isReadingDue = false;
      const nowMs = this.clock.monotonicMs();
      try {
        const remaining = await this.windows.remaining();
        this.endsMs = new Map([...remaining].map(([endpoint, leftMs]) => [endpoint, nowMs + leftMs]));
      } catch (err) {
        this.log.warn({ err }, 'it is not known which payloads are to be logged; the next change tells');
      }
    }
  }
}
