import { createLogger } from '#libs/platform';
import { expect, it } from 'vitest';
import { freshDatabase } from '../../../test/support/database.js';
import { RefusalLog } from './refusal-log.js';

it('cannot be used to flood the audit trail: a bounded number of rows per round, and the rest counted', async () => {
  await using db = await freshDatabase();
  await using refusals = new RefusalLog({
    database: db.database,
    log: createLogger({ service: 'test', level: 'silent' }),
    rowsPerRound: 3,
  });
  for (let count = 0; count < 1_000; count += 1) {
    refusals.note({ actor: `key:${count}`, resource: 'action:infer', code: 'SLU_ACCESS_FORBIDDEN', requestId: 'r' });
  }
  await refusals.flush();
  await refusals.flush();
  const rows = await db.database.query<{ detail: object }>('SELECT detail FROM audit_events');
  expect(rows.map(({ detail }) => detail)).toEqual(
    Array.from({ length: 3 }, () => ({ code: 'SLU_ACCESS_FORBIDDEN', count: 1, othersNotShown: 997 })),
  );
});

it('keeps what could not be written while PostgreSQL was away', async () => {
  await using db = await freshDatabase();
  await using refusals = new RefusalLog({
    database: db.database,
    log: createLogger({ service: 'test', level: 'silent' }),
  });
  const refusal = { actor: 'key:1', resource: 'action:infer', code: 'SLU_ACCESS_FORBIDDEN', requestId: 'r' } as const;
  refusals.note(refusal);
  await db.takeAway();
  await refusals.flush();
  refusals.note(refusal);
  await db.giveBack();
  await refusals.flush();
  expect(await db.database.query('SELECT detail FROM audit_events')).toEqual([
    { detail: { code: 'SLU_ACCESS_FORBIDDEN', count: 2 } },
  ]);
});
