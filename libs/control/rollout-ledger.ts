import { appendAudit, type AuditEvent } from '#libs/audit';
import type { Verdict } from '#libs/decisions';
import type { Endpoints } from '#libs/inference';
import { RolloutEntity, type Database, type Tx } from '#libs/store';
import type { ProgressRecord, RolloutOutcome } from '#workflows/rollout/contract';

export interface Ending {
  rolloutId: string;
  outcome: RolloutOutcome;
  reason: string;
  actor: string;
  eventKey: string;
}

/** One line of a timeline. */
interface LedgerEntry {
  rolloutId: string;
  /** Sorts as text in the order of the events; the same key is written once. */
  eventKey: string;
  kind: string;
  actor: string;
  detail: Readonly<Record<string, unknown>>;
}

/** Events of the workflow sort after `0-requested` and among themselves. */
export const eventKeyOf = (sequence: number): string => `w-${String(sequence).padStart(8, '0')}`;

/** The rows of rollouts and their timeline. Each change commits with its event and its audit row. */
export class RolloutLedger {
  constructor(
    private readonly database: Database,
    private readonly endpoints: Pick<Endpoints, 'release'>,
  ) {}

  /**
   * Writes one line of a rollout's timeline and brings its row there. A repeated line changes nothing, and a late one
   * never brings the row back.
   * @returns 'ended' when the rollout is over, and nothing was written
   */
  async record(progress: ProgressRecord): Promise<'written' | 'ended'> {
    return this.database.run(async (tx) => {
      const row = await lockRollout(tx, progress.rolloutId);
      if (row === null || row.endedAt !== null) return 'ended';
      const eventKey = eventKeyOf(progress.sequence);
      const isNew = await appendEvent(tx, { ...progress, eventKey });
      if (!isNew) return 'written';
      if (!(await hasLaterEvent(tx, progress.rolloutId, eventKey))) {
        const { phase, stepIndex, weight, verdict, reason } = progress.row;
        await tx.query(
          `UPDATE rollouts SET phase = $2, step_index = $3, weight = $4, verdict = coalesce($5, verdict), reason = $6,
             updated_at = now() WHERE id = $1`,
          [
            progress.rolloutId,
            phase,
            stepIndex,
            weight,
            verdict === undefined ? null : JSON.stringify(verdict),
            reason,
          ],
        );
      }
      await appendAudit(tx, auditOf(row, progress));
      return 'written';
    });
  }

  /** Ends a rollout and gives its endpoint back. Repeated, it changes nothing. */
  async end(ending: Ending): Promise<void> {
    await this.database.run((tx) => this.endIn(tx, ending));
  }

  async endIn(tx: Tx, { rolloutId, outcome, reason, actor, eventKey }: Ending): Promise<void> {
    const row = await lockRollout(tx, rolloutId);
    if (row === null || row.endedAt !== null) return;
    await tx.query(
      `UPDATE rollouts SET phase = $2, reason = $3, weight = CASE WHEN $2 = 'promoted' THEN 100 ELSE 0 END,
         updated_at = now(), ended_at = now() WHERE id = $1`,
      [rolloutId, outcome, reason],
    );
    await this.endpoints.release(tx, row.endpoint, rolloutId);
    await appendEvent(tx, { rolloutId, eventKey, kind: 'ended', actor, detail: { outcome, reason } });
    await appendAudit(tx, {
      actor,
      action: 'rollout.end',
      resource: `rollout:${rolloutId}`,
      outcome: outcome === 'failed' ? 'failed' : 'done',
      detail: { endpoint: row.endpoint, candidate: row.candidateVersion, outcome },
    });
  }

  /** The latest numbers, between two events. A rollout that is over keeps its last verdict. */
  async showVerdict(rolloutId: string, verdict: Verdict): Promise<void> {
    await this.database.query(
      'UPDATE rollouts SET verdict = $2, updated_at = now() WHERE id = $1 AND ended_at IS NULL',
      [rolloutId, JSON.stringify(verdict)],
    );
  }
}

/** @returns false when this event was there already */
export async function appendEvent(tx: Tx, entry: LedgerEntry): Promise<boolean> {
  const rows: unknown[] = await tx.query(
    `INSERT INTO rollout_events (rollout_id, event_key, kind, actor, detail) VALUES ($1, $2, $3, $4, $5)
     ON CONFLICT (rollout_id, event_key) DO NOTHING RETURNING seq`,
    [entry.rolloutId, entry.eventKey, entry.kind, entry.actor, JSON.stringify(entry.detail)],
  );
  return rows.length > 0;
}

async function lockRollout(tx: Tx, id: string): Promise<RolloutEntity | null> {
  return tx.findOne(RolloutEntity, { where: { id }, lock: { mode: 'pessimistic_write' } });
}

async function hasLaterEvent(tx: Tx, rolloutId: string, eventKey: string): Promise<boolean> {
  const rows: unknown[] = await tx.query(
    `SELECT 1 FROM rollout_events WHERE rollout_id = $1 AND event_key > $2 COLLATE "C" LIMIT 1`,
    [rolloutId, eventKey],
  );
  return rows.length > 0;
}

function auditOf(row: RolloutEntity, progress: ProgressRecord): AuditEvent {
  const command = progress.kind === 'command' ? String(progress.detail['command']) : undefined;
  return {
    actor: progress.actor,
    action: command === undefined ? `rollout.${progress.kind}` : `rollout.${command}`,
    resource: `rollout:${row.id}`,
    outcome: 'done',
    requestId: progress.requestId,
    detail: {
      endpoint: row.endpoint,
      phase: progress.row.phase,
      step: progress.row.stepIndex,
      weight: progress.row.weight,
    },
  };
}
