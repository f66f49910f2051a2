import type { Logger } from '#libs/platform';

const retryMs = 250;

/** Reads something anew whenever it is told to, one reading at a time, and again after a failure. */
export class RepeatedReading {
  private reading: Promise<void> | undefined;
  private isDue = false;
  private retryTimer: NodeJS.Timeout | undefined;
  private isStopped = false;

  constructor(
    private readonly read: () => Promise<void>,
    private readonly log: Logger,
  ) {}

  again(): void {
    this.isDue = true;
    clearTimeout(this.retryTimer);
    if (!this.isStopped) this.reading ??= this.readAll().finally(() => (this.reading = undefined));
  }

  /** Resolves when everything that was due has been read, or could not be. */
  async settled(): Promise<void> {
    await this.reading;
  }

  stop(): void {
    this.isStopped = true;
    clearTimeout(this.retryTimer);
  }

  private async readAll(): Promise<void> {
    while (this.isDue && !this.isStopped) {
      this.isDue = false;
      try {
        await this.read();
      } catch (err) {
        this.log.warn({ err }, 'budgets and prices cannot be read; those known stay good for now');
        this.retryTimer = setTimeout(() => this.again(), retryMs);
        this.retryTimer.unref();
        return;
      }
    }
  }
}
