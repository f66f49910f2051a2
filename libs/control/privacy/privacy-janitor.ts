import { days, secondsToMs } from '#libs/kernel';
import type { Logger } from '#libs/platform';
import { tryLock, type Database } from '#libs/store';
import type { ErasureLedger } from './erasure-ledger.js';
import type { Erasures } from './erasures.js';

export interface PrivacyJanitorSettings {
  database: Database;
  erasures: Pick<Erasures, 'startForgotten'>;
  ledger: Pick<ErasureLedger, 'eraseLate'>;
  log: Logger;
  payloadRetentionSeconds: number;
  everyMs?: number;
}

const defaultEveryMs = secondsToMs(30);
const lock = 7_583_015;
const atATime = 2_000;
/** As long as a batch of records may wait on a disk. */
const lateWithinSeconds = days(31);

/** Does what nobody asks for: ends payloads with their retention, erases what comes in late, starts what was forgotten. */
export class PrivacyJanitor implements AsyncDisposable {
  private readonly timer: NodeJS.Timeout;
  private working: Promise<void> | undefined;

  constructor(private readonly settings: PrivacyJanitorSettings) {
    this.timer = setInterval(() => void this.round(), settings.everyMs ?? defaultEveryMs);
    this.timer.unref();
  }

  /** One round; those who ask meanwhile get the same one. */
  round(): Promise<void> {
    this.working ??= this.work()
      .catch((err: unknown) => this.settings.log.warn({ err }, 'privacy chores failed; the next round tries again'))
      .finally(() => (this.working = undefined));
    return this.working;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.timer);
    await this.working;
  }

  private async work(): Promise<void> {
    await this.deleteOldPayloads();
    await this.settings.ledger.eraseLate(lateWithinSeconds);
    await this.settings.erasures.startForgotten();
  }

  private async deleteOldPayloads(): Promise<void> {
    const { database, payloadRetentionSeconds } = this.settings;
    for (let count = atATime; count === atATime;) {
      count = await database.run(async (tx) => {
        if (!(await tryLock(tx, lock))) return 0;
        const [rows] = (await tx.query(
          `DELETE FROM payload_records WHERE id IN (SELECT id FROM payload_records
             WHERE at < now() - interval '1 second' * $1 LIMIT ${atATime}) RETURNING data_key_id AS "keyId"`,
          [payloadRetentionSeconds],
        )) as [{ keyId: string }[], number];
        // A key of one payload alone, or of a person of whom nothing is left, has done its work.
        await tx.query(
          `DELETE FROM data_keys k WHERE id = ANY($1) AND destroyed_at IS NULL
             AND NOT EXISTS (SELECT FROM payload_records WHERE data_key_id = k.id)`,
          [rows.map(({ keyId }) => keyId)],
        );
        return rows.length;
      });
    }
  }
}
