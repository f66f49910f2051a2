import type { Tx } from './database.js';

/** Takes the lock until the transaction ends. @returns whether it was free; when not, another process does the work */
export async function tryLock(tx: Tx, lock: number): Promise<boolean> {
  const [row] = (await tx.query('SELECT pg_try_advisory_xact_lock($1) AS held', [lock])) as { held: boolean }[];
  return row?.held === true;
}
