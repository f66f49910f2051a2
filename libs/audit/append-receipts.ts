import { minutes, secondsToMs } from '#libs/kernel';
import type { Logger } from '#libs/platform';
import type { Database } from '#libs/store';
import type { AppendedRow } from './audit-trail.js';

export interface AppendReceiptsSettings {
  database: Database;
  log: Logger;
  /** A row that is not in the chain after so long is asked about. */
  afterSeconds?: number;
  mostReceipts?: number;
}

interface Receipt {
  xid: string;
  sinceMs: number;
}

const defaultAfterSeconds = 5;
const defaultMostReceipts = 100_000;
/** PostgreSQL forgets how an old transaction has ended. */
const keptSeconds = minutes(30);

/**
 * What this process has appended and not yet seen in the chain. A row whose transaction was committed and which is
 * neither in the table nor in the chain was removed by somebody in between.
 */
export class AppendReceipts implements AsyncDisposable {
  private readonly receipts = new Map<string, Receipt>();
  private readonly timer: NodeJS.Timeout;
  private working: Promise<void> = Promise.resolve();
  /** Rows that were committed and then vanished. */
  vanished = 0;

  constructor(private readonly settings: AppendReceiptsSettings) {
    this.timer = setInterval(() => void this.ask(), secondsToMs(this.afterSeconds));
    this.timer.unref();
  }

  get waiting(): number {
    return this.receipts.size;
  }

  note(rows: readonly AppendedRow[]): void {
    const sinceMs = performance.now();
    for (const { id, xid } of rows) {
      if (this.receipts.size < (this.settings.mostReceipts ?? defaultMostReceipts))
        this.receipts.set(id, { xid, sinceMs });
    }
  }

  linked(ids: readonly string[]): void {
    for (const id of ids) this.receipts.delete(id);
  }

  /** Asks about the rows that wait for long. */
  async ask(afterSeconds = this.afterSeconds): Promise<void> {
    this.working = this.working.then(() =>
      this.askNow(secondsToMs(afterSeconds)).catch((err: unknown) =>
        this.settings.log.warn({ err }, 'appended audit rows cannot be looked for now'),
      ),
    );
    await this.working;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.timer);
    await this.ask(0);
  }

  private get afterSeconds(): number {
    return this.settings.afterSeconds ?? defaultAfterSeconds;
  }

  private async askNow(afterMs: number): Promise<void> {
    const now = performance.now();
    const old = [...this.receipts].filter(([, { sinceMs }]) => now - sinceMs >= afterMs);
    if (old.length === 0) return;
    const states = await this.settings.database.query<{ id: string; place: string; end: string | null }>(
      `SELECT r.id, CASE WHEN audit_position(e.seq) IS NOT NULL THEN 'linked' WHEN e.id IS NOT NULL THEN 'waiting' ELSE 'nowhere' END AS place,
         CASE WHEN e.id IS NULL THEN pg_xact_status(r.xid) END AS end
       FROM unnest($1::uuid[], $2::xid8[]) AS r (id, xid)
       LEFT JOIN audit_events e ON e.id = r.id`,
      [old.map(([id]) => id), old.map(([, { xid }]) => xid)],
    );
    for (const { id, place, end } of states) {
      const isOver = now - (this.receipts.get(id)?.sinceMs ?? now) > secondsToMs(keptSeconds);
      if (place === 'linked' || end === 'aborted' || isOver) this.receipts.delete(id);
      if (place !== 'nowhere' || end !== 'committed') continue;
      this.receipts.delete(id);
      this.vanished += 1;
      this.settings.log.fatal({ id }, 'ALARM: an audit row was committed and has vanished before it was linked');
    }
  }
}
