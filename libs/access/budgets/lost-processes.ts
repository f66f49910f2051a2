import type { Database } from '#libs/store';
import { moveRest } from './lease-ledger-periods.js';

const lockHint = 'FOR UPDATE SKIP LOCKED';

/**
 * Writes off what processes held that have not been seen for a while: nobody knows how much of it was used, so all of it
 * counts as spent, in the period that it was held in. One that comes back takes the rest back.
 * @returns the processes that were given up
 */
export async function giveUpLostProcesses(database: Database, afterSeconds: number): Promise<string[]> {
  const lost: string[] = [];
  for (;;) {
    const id = await database.run(async (tx) => {
      const [row] = (await tx.query(
        `SELECT id FROM budget_processes
          WHERE state = 'live' AND seen_at < clock_timestamp() - make_interval(secs => $1) ORDER BY seen_at LIMIT 1 ${lockHint}`,
        [afterSeconds],
      )) as { id: string }[];
      if (row === undefined) return undefined;
      await moveRest(tx, row.id, 1);
      await tx.query(`UPDATE budget_processes SET state = 'lost' WHERE id = $1`, [row.id]);
      return row.id;
    });
    if (id === undefined) return lost;
    lost.push(id);
  }
}

/** Ended processes hold nothing; lost ones may come back for a while. */
export async function forgetOldProcesses(database: Database): Promise<void> {
  await database.run(async (tx) => {
    const old = `SELECT id FROM budget_processes
      WHERE (state = 'ended' AND seen_at < clock_timestamp() - interval '1 day')
         OR (state = 'lost' AND seen_at < clock_timestamp() - interval '30 days') LIMIT 1000 ${lockHint}`;
    const rows = (await tx.query(old)) as { id: string }[];
    const ids = rows.map(({ id }) => id);
    if (ids.length === 0) return;
    await tx.query('DELETE FROM budget_leases WHERE process_id = ANY($1)', [ids]);
    await tx.query('DELETE FROM budget_processes WHERE id = ANY($1)', [ids]);
  });
}
