import { randomUUID } from 'node:crypto';
import { appendAudit } from '#libs/audit';
import { thresholdsReached } from '#libs/decisions';
import type { Tx } from '#libs/store';

/**
 * Locks the process's row, says that it was seen, and takes back what was written off when it was thought to be lost: what
 * it holds counts as held again, so spent and held together stay what they were.
 */
export async function putInStateLive(tx: Tx, processId: string): Promise<{ lastSequence: number; nowMs: number }> {
  const [row] = (await tx.query(
    'SELECT state, last_sequence, clock_timestamp() AS now FROM budget_processes WHERE id = $1 FOR UPDATE',
    [processId],
  )) as { state: string; last_sequence: string; now: Date }[];
  if (row === undefined) throw new Error(`budget process ${processId} was never registered`);
  if (row.state === 'ended') throw new Error(`budget process ${processId} has ended`);
  if (row.state === 'lost') await moveRest(tx, processId, -1);
  await tx.query(`UPDATE budget_processes SET state = 'live', seen_at = clock_timestamp() WHERE id = $1`, [processId]);
  return { lastSequence: Number(row.last_sequence), nowMs: row.now.getTime() };
}

/** Moves what the process neither spent nor gave back from held to spent (1), or back (-1). */
export async function moveRest(tx: Tx, processId: string, direction: 1 | -1): Promise<void> {
  await lockPeriods(tx, processId);
  const moved = (await tx.query(
    `WITH changed AS (
       UPDATE budget_periods p
          SET spent = p.spent + $2 * (l.granted - l.settled - l.returned),
              written_off = p.written_off + $2 * (l.granted - l.settled - l.returned),
              held = p.held - $2 * (l.granted - l.settled - l.returned)
         FROM budget_leases l
        WHERE l.process_id = $1 AND (p.budget_id, p.starts_at) = (l.budget_id, l.starts_at)
          AND l.granted > l.settled + l.returned
       RETURNING p.budget_id, p.starts_at, l.granted - l.settled - l.returned AS amount)
     SELECT c.*, b.tenant_id FROM changed c JOIN budgets b ON b.id = c.budget_id`,
    [processId, direction],
  )) as { budget_id: string; starts_at: Date; amount: string; tenant_id: string }[];
  for (const { budget_id, amount, tenant_id: tenantId } of moved) {
    await appendAudit(tx, {
      actor: 'system',
      action: direction === 1 ? 'budget.write-off' : 'budget.take-back',
      resource: `budget:${budget_id}`,
      tenantId,
      outcome: 'done',
      detail: { amount: Number(amount), process: processId },
    });
  }
  const touched = moved.map(({ budget_id, starts_at }) => ({ budgetId: budget_id, startsAt: starts_at }));
  if (direction === 1) await warnOfThresholds(tx, touched);
}

export async function lockPeriods(tx: Tx, processId: string): Promise<void> {
  await tx.query(
    `SELECT 1 FROM budget_periods WHERE (budget_id, starts_at) IN
       (SELECT budget_id, starts_at FROM budget_leases WHERE process_id = $1) ORDER BY budget_id, starts_at FOR UPDATE`,
    [processId],
  );
}

interface PeriodRow {
  budget_id: string;
  tenant_id: string;
  starts_at: Date;
  spent: string;
  limit_units: string;
  thresholds: number[];
  has_webhook: boolean;
  said: number[];
}

/** Writes each threshold that a period has reached, once: the alert, which a webhook may be due for, and its audit row. */
export async function warnOfThresholds(
  tx: Tx,
  touched: readonly { budgetId: string; startsAt: Date }[],
): Promise<void> {
  if (touched.length === 0) return;
  const periods = (await tx.query(
    `SELECT p.budget_id, b.tenant_id, p.starts_at, p.spent, b.limit_units, b.thresholds, b.webhook_url IS NOT NULL AS has_webhook,
            ARRAY(SELECT a.threshold FROM budget_alerts a WHERE (a.budget_id, a.starts_at) = (p.budget_id, p.starts_at)) AS said
       FROM budget_periods p JOIN budgets b ON b.id = p.budget_id
      WHERE (p.budget_id, p.starts_at) IN (SELECT * FROM unnest($1::uuid[], $2::timestamptz[]))
        AND cardinality(b.thresholds) > 0 AND b.ended_at IS NULL`,
    [touched.map(({ budgetId }) => budgetId), touched.map(({ startsAt }) => startsAt)],
  )) as PeriodRow[];
  for (const period of periods) {
    const [spent, limit] = [Number(period.spent), Number(period.limit_units)];
    for (const threshold of thresholdsReached(period.thresholds, { spent, limit }, period.said)) {
      await tx.query(
        `INSERT INTO budget_alerts (id, budget_id, starts_at, threshold, spent, limit_units, at, due_at)
         VALUES ($1, $2, $3, $4, $5, $6, clock_timestamp(), CASE WHEN $7 THEN clock_timestamp() END)`,
        [randomUUID(), period.budget_id, period.starts_at, threshold, spent, limit, period.has_webhook],
      );
      await appendAudit(tx, {
        actor: 'system',
        action: 'budget.threshold',
        resource: `budget:${period.budget_id}`,
        tenantId: period.tenant_id,
        outcome: 'done',
        detail: { threshold, spent, limit, periodStartsAt: period.starts_at.toISOString() },
      });
    }
  }
}
