import { appendAudit } from '#libs/audit';
import { days, sluiceError, systemClock, type Clock } from '#libs/kernel';
import type { Logger } from '#libs/platform';
import type { Change, ChangeFeedListener, Database } from '#libs/store';
import { Quarantine, type QuarantinedInput } from './quarantine.js';

export interface QuarantineLedgerSettings {
  database: Database;
  log: Logger;
  clock?: Clock;
  refreshEveryMs?: number;
}

const defaultRefreshEveryMs = 10_000;
const keptSeconds = days(30);
const mostListed = 1_000;
/** While PostgreSQL is away. */
const mostUnwritten = 1_000;
const isDigest = (text: string): boolean => /^[0-9a-f]{64}$/.test(text);

/**
 * The quarantine that all API processes share. Each process refuses from memory; the table carries what one has learnt to
 * the others and across a restart. Without PostgreSQL a process goes on with what it knows.
 */
export class QuarantineLedger implements ChangeFeedListener, AsyncDisposable {
  readonly quarantine: Quarantine;
  private unwritten: QuarantinedInput[] = [];
  private work: Promise<void> | undefined;
  private isWorkDue = false;
  private isDatabaseAway = false;
  private readonly timer: NodeJS.Timeout;

  constructor(private readonly settings: QuarantineLedgerSettings) {
    const { log, clock = systemClock, refreshEveryMs = defaultRefreshEveryMs } = settings;
    this.quarantine = new Quarantine({ clock, log, onQuarantined: (input) => this.take(input) });
    this.timer = setInterval(() => this.workSoon(), refreshEveryMs);
    this.timer.unref();
  }

  /** Resolves when what is known here stands in the table, and what stands there is known here, or that has failed. */
  async settled(): Promise<void> {
    this.workSoon();
    while (this.work !== undefined) await this.work;
  }

  /** Those that are refused now, the newest first. */
  list(): Promise<QuarantinedInput[]> {
    return this.settings.database.query<QuarantinedInput>(
      `SELECT ${columns} FROM quarantined_inputs WHERE lifted_at IS NULL AND expires_at > now()
       ORDER BY quarantined_at DESC, digest LIMIT ${mostListed}`,
    );
  }

  /** Lets an input in again, here at once and in the other processes as soon as they hear of it. @throws SLU_QUARANTINE_UNKNOWN */
  async lift(digest: string, actor: string, requestId?: string): Promise<QuarantinedInput> {
    if (!isDigest(digest)) throw sluiceError('SLU_QUARANTINE_UNKNOWN', { digest: digest.slice(0, 64) });
    const lifted = await this.settings.database.run(async (tx) => {
      const [row] = (await tx.query(
        `SELECT ${columns} FROM quarantined_inputs WHERE digest = $1 AND lifted_at IS NULL AND expires_at > now() FOR UPDATE`,
        [digest],
      )) as QuarantinedInput[];
      if (row === undefined) throw sluiceError('SLU_QUARANTINE_UNKNOWN', { digest });
      await tx.query(`UPDATE quarantined_inputs SET lifted_at = now(), lifted_by = $2 WHERE digest = $1`, [
        digest,
        actor,
      ]);
      await appendAudit(tx, {
        actor,
        action: 'quarantine.lift',
        resource: `quarantine:${digest}`,
        outcome: 'done',
        requestId,
        detail: { model: row.model, version: row.version, deaths: row.deaths },
      });
      return row;
    });
    this.unwritten = this.unwritten.filter((input) => input.digest !== digest);
    this.quarantine.lift(lifted);
    return lifted;
  }

  onChange({ table }: Change): void {
    if (table === 'quarantined_inputs') this.workSoon();
  }

  onConnected(): void {
    this.workSoon();
  }

  onLost(): void {
    // What is refused stays refused until its time is over.
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.timer);
    await this.settled();
  }

  private take(input: QuarantinedInput): void {
    if (this.unwritten.length < mostUnwritten) this.unwritten.push(input);
    this.workSoon();
  }

  private workSoon(): void {
    this.isWorkDue = true;
    this.work ??= this.workUntilDone().finally(() => (this.work = undefined));
  }

  private async workUntilDone(): Promise<void> {
    while (this.isWorkDue) {
      this.isWorkDue = false;
      try {
        for (let input = this.unwritten[0]; input !== undefined; input = this.unwritten[0]) {
          await this.write(input);
          this.unwritten = this.unwritten.filter((other) => other !== input);
        }
        const refused = await this.list();
        // What came in meanwhile is not in the table yet.
        this.quarantine.replace([...this.unwritten, ...refused]);
        this.isDatabaseAway = false;
      } catch (err) {
        if (!this.isDatabaseAway)
          this.settings.log.warn({ err }, 'the quarantine cannot be shared; this process goes on with what it knows');
        this.isDatabaseAway = true;
        return;
      }
    }
  }

  private async write({ digest, model, version, deaths, quarantinedAt, expiresAt }: QuarantinedInput): Promise<void> {
    await this.settings.database.run(async (tx) => {
      await tx.query(
        `INSERT INTO quarantined_inputs AS known (digest, model, version, deaths, quarantined_at, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (digest) DO UPDATE SET deaths = known.deaths + EXCLUDED.deaths,
           quarantined_at = EXCLUDED.quarantined_at, expires_at = GREATEST(known.expires_at, EXCLUDED.expires_at),
           lifted_at = NULL, lifted_by = NULL`,
        [digest, model, version, deaths, quarantinedAt, expiresAt],
      );
      await appendAudit(tx, {
        actor: 'system',
        action: 'quarantine.add',
        resource: `quarantine:${digest}`,
        outcome: 'done',
        detail: { model, version, deaths, expiresAt: expiresAt.toISOString() },
      });
      await tx.query(`DELETE FROM quarantined_inputs WHERE expires_at < now() - interval '1 second' * ${keptSeconds}`);
    });
  }
}

const columns = `digest, model, version, deaths, quarantined_at AS "quarantinedAt", expires_at AS "expiresAt"`;
