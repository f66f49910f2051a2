import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { freshDatabase, type FreshDatabase } from '../../../test/support/database.js';
import { ReplicaSets } from './replica-sets.js';

let db: FreshDatabase;
let sets: ReplicaSets;
const version = { model: 'm', version: '1' };

beforeEach(async () => {
  db = await freshDatabase();
  sets = new ReplicaSets(db.database);
  await db.database.query(
    `INSERT INTO model_versions (model, version, format, manifest, content_digest, artifact_path, state, registered_by)
     VALUES ('m', '1', 'onnx', '{}', 'd', '/x', 'registered', 'system')`,
  );
});
afterEach(() => db[Symbol.asyncDispose]());

const want = (desired: number) => db.database.run((tx) => sets.setDesired(tx, { ...version, desired, actor: 'a' }));
const replica = async (state: string, { hasBeenReady = state === 'ready', reason = '' } = {}): Promise<string> => {
  const id = randomUUID();
  await db.database.query(
    `INSERT INTO replicas (id, model, version, host, address, state, reason, ready_at, ended_at)
     VALUES ($1, 'm', '1', 'h', 'unix:/x', $2, $3, CASE WHEN $4 THEN now() END, CASE WHEN $2 IN ('failed', 'stopped') THEN now() END)`,
    [id, state, reason, hasBeenReady],
  );
  return id;
};

describe('the wanted number of replicas', () => {
  it('is written once with its audit row; the same number again changes nothing', async () => {
    expect(await want(2)).toBe(0);
    expect(await want(2)).toBe(2);
    expect(await want(0)).toBe(2);
    const audit = await db.database.query<{ detail: unknown }>(
      `SELECT detail FROM audit_events WHERE action = 'replicas.scale' ORDER BY seq`,
    );
    expect(audit.map(({ detail }) => detail)).toEqual([
      { from: 0, to: 2 },
      { from: 2, to: 0 },
    ]);
  });

  it('goes with the transaction: no proof and no change when that fails', async () => {
    await expect(
      db.database.run(async (tx) => {
        await sets.setDesired(tx, { ...version, desired: 2, actor: 'a' });
        throw new Error('later');
      }),
    ).rejects.toThrow('later');
    expect(await sets.list()).toEqual([]);
    expect(await db.database.query('SELECT 1 FROM audit_events')).toEqual([]);
  });
});

describe('waiting for replicas', () => {
  it('ends when enough are ready, counting none that is starting, draining or gone', async () => {
    await want(2);
    for (const state of ['starting', 'draining', 'failed', 'stopped', 'ready']) await replica(state);
    const seen: number[] = [];
    let isReady = false;
    const waiting = sets
      .waitUntilReady({ ...version, count: 2, onHeartbeat: ({ ready }) => seen.push(ready) })
      .then(() => (isReady = true));
    await expect.poll(() => seen.length).toBeGreaterThan(1);
    expect(isReady).toBe(false);
    await replica('ready');
    await waiting;
    expect(seen.at(-1)).toBe(2);
  });

  it('gives up with the reason after three starts in a row that failed', async () => {
    await want(1);
    for (const reason of ['one', 'two', 'cannot load the graph']) await replica('failed', { reason });
    await replica('starting');
    await expect(sets.waitUntilReady({ ...version, count: 1 })).rejects.toMatchObject({
      code: 'SLU_REPLICA_FAILED',
      detail: { reason: 'cannot load the graph' },
    });
  });

  it.each([
    [
      'before the number was last changed',
      async () => {
        for (let n = 0; n < 3; n += 1) await replica('failed');
        await want(1);
      },
    ],
    [
      'after having been ready',
      async () => {
        await want(1);
        for (let n = 0; n < 3; n += 1) await replica('failed', { hasBeenReady: true });
      },
    ],
    [
      'with a good one after them',
      async () => {
        await want(2);
        for (let n = 0; n < 3; n += 1) await replica('failed');
        await replica('ready');
      },
    ],
  ])('does not give up for failures %s', async (_when, arrange) => {
    await arrange();
    let looks = 0;
    const waiting = sets.waitUntilReady({ ...version, count: 2, onHeartbeat: () => (looks += 1) });
    await expect.poll(() => looks).toBeGreaterThan(2);
    await replica('ready');
    await replica('ready');
    await waiting;
  });

  it('ends at once with the reason of its signal', async () => {
    const abort = new AbortController();
    const waiting = sets.waitUntilReady({ ...version, count: 1, signal: abort.signal });
    abort.abort(new Error('enough'));
    await expect(waiting).rejects.toThrow('enough');
  });

  it('for their end waits until the last one has ended, draining ones included', async () => {
    const id = await replica('draining');
    let isGone = false;
    const waiting = sets.waitUntilGone(version).then(() => (isGone = true));
    await new Promise((done) => setImmediate(done));
    expect(isGone).toBe(false);
    await db.database.query(`UPDATE replicas SET state = 'stopped', ended_at = now() WHERE id = $1`, [id]);
    await waiting;
  });

  it('lists the living before the dead', async () => {
    await replica('stopped');
    const living = await replica('ready');
    expect((await sets.replicas()).map(({ id }) => id)[0]).toBe(living);
  });
});

describe('draining one replica', () => {
  const drain = (id: string) => sets.drain({ id, actor: 'key:1', requestId: 'r' });

  it('is written with its audit row, once', async () => {
    const id = await replica('ready');
    expect(await drain(id)).toMatchObject({ id, state: 'draining' });
    expect(await drain(id)).toMatchObject({ id, state: 'draining' });
    const audit = await db.database.query(`SELECT actor, action, resource, detail FROM audit_events`);
    expect(audit).toEqual([
      {
        actor: 'key:1',
        action: 'replica.drain',
        resource: `replica:${id}`,
        detail: { model: 'm', version: '1', from: 'ready' },
      },
    ]);
  });

  it('is refused for one that is unknown, or has ended', async () => {
    await expect(drain(randomUUID())).rejects.toMatchObject({ code: 'SLU_REPLICA_UNKNOWN' });
    for (const state of ['stopped', 'failed']) {
      await expect(drain(await replica(state))).rejects.toMatchObject({ code: 'SLU_REPLICA_ENDED', detail: { state } });
    }
    expect(await db.database.query('SELECT 1 FROM audit_events')).toEqual([]);
  });
});

it('never lowers a wish that is raised at the same time', async () => {
  await want(1);
  await Promise.all([want(3), db.database.run((tx) => sets.ensureAtLeast(tx, { ...version, desired: 2, actor: 'a' }))]);
  expect(await sets.desired('m', '1')).toBe(3);
});
