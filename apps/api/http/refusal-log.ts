import { appendAudits } from '#libs/audit';
import { secondsToMs, type ErrorCode } from '#libs/kernel';
import type { Logger } from '#libs/platform';
import type { Database } from '#libs/store';

export interface Refusal {
  /** `key:<id>`, or `anonymous`. */
  actor: string;
  /** The permit that was missing, or the route's pattern. Never what the caller wrote. */
  resource: string;
  code: ErrorCode;
  /** `act.refuse` for an act that was permitted and could not be done; `access.refuse` when left out. */
  action?: 'act.refuse' | undefined;
  requestId: string;
  tenantId?: string | undefined;
}

interface Tally extends Refusal {
  count: number;
}

export interface RefusalLogSettings {
  database: Database;
  log: Logger;
  everySeconds?: number;
  /** Rows per round at most: refusals must not become a way to fill the audit trail. */
  rowsPerRound?: number;
}

const defaultEverySeconds = 5;
const defaultRowsPerRound = 50;

/** Proof of who was turned away: equal refusals of a few seconds are one audit row with a count. */
export class RefusalLog implements AsyncDisposable {
  private tallies = new Map<string, Tally>();
  private uncounted = 0;
  private readonly timer: NodeJS.Timeout;
  private writing: Promise<void> = Promise.resolve();

  constructor(private readonly settings: RefusalLogSettings) {
    this.timer = setInterval(() => void this.flush(), secondsToMs(settings.everySeconds ?? defaultEverySeconds));
    this.timer.unref();
  }

  note(refusal: Refusal): void {
    const key = `${refusal.actor} ${refusal.resource} ${refusal.code}`;
    const tally = this.tallies.get(key);
    if (tally !== undefined) tally.count += 1;
    else if (this.tallies.size < (this.settings.rowsPerRound ?? defaultRowsPerRound))
      this.tallies.set(key, { ...refusal, count: 1 });
    else this.uncounted += 1;
  }

  /** Everything noted so far is written when it resolves, unless the database is away. */
  async flush(): Promise<void> {
    this.writing = this.writing.then(() => this.write());
    await this.writing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.timer);
    await this.flush();
  }

  private async write(): Promise<void> {
    if (this.tallies.size === 0) return;
    const { tallies, uncounted } = this;
    this.tallies = new Map();
    this.uncounted = 0;
    try {
      await this.settings.database.run((tx) =>
        appendAudits(
          tx,
          [...tallies.values()].map(({ code, count, ...refusal }) => ({
            action: 'access.refuse',
            ...refusal,
            outcome: 'refused' as const,
            detail: { code, count, ...(uncounted > 0 && { othersNotShown: uncounted }) },
          })),
        ),
      );
    } catch (failure) {
      this.settings.log.warn({ err: failure, rows: tallies.size }, 'refusals wait to be written to the audit trail');
      this.putBack(tallies, uncounted);
    }
  }

  // While the database is away they wait, as many as a round may have; of the rest the number is kept.
  private putBack(tallies: Map<string, Tally>, uncounted: number): void {
    this.uncounted += uncounted;
    for (const [key, tally] of tallies) {
      const newer = this.tallies.get(key);
      if (newer !== undefined) newer.count += tally.count;
      else if (this.tallies.size < (this.settings.rowsPerRound ?? defaultRowsPerRound)) this.tallies.set(key, tally);
      else this.uncounted += tally.count;
    }
  }
}
