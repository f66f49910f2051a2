import type { Logger } from '#libs/platform';
import { tryLock, type Database } from '#libs/store';

export interface Retention {
  /** Advisory lock: one process at a time deletes. */
  lock: number;
  /** A DELETE of at most `$1` rows. */
  statement: string;
}

const portionRows = 5_000;
const portionsAtATime = 20;

/** Deletes old rows in portions, so that no statement holds locks or the disk for long. What is left waits for the next call. */
export async function deleteInPortions(
  { database, log }: { database: Database; log: Logger },
  { lock, statement }: Retention,
): Promise<void> {
  try {
    for (let portion = 0; portion < portionsAtATime; portion += 1) {
      const deleted = await database.run(async (tx) => {
        if (!(await tryLock(tx, lock))) return 0;
        const result = (await tx.query(statement, [portionRows])) as [unknown[], number];
        return result[1];
      });
      if (deleted < portionRows) return;
    }
  } catch (error) {
    log.warn({ err: error }, 'old rows could not be deleted; the next round tries again');
  }
}
