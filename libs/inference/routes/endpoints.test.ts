import { randomUUID } from 'node:crypto';
import { isSluiceError } from '#libs/kernel';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { freshDatabase, type FreshDatabase } from '../../../test/support/database.js';
import { Endpoints } from './endpoints.js';
import { ReplicaSets } from '../replicas/replica-sets.js';

let db: FreshDatabase;
let endpoints: Endpoints;
let replicaSets: ReplicaSets;

beforeEach(async () => {
  db = await freshDatabase();
  replicaSets = new ReplicaSets(db.database);
  endpoints = new Endpoints(db.database, replicaSets);
  for (const [version, state] of [
    ['1', 'registered'],
    ['2', 'registered'],
    ['old', 'archived'],
  ]) {
    await db.database.query(
      `INSERT INTO model_versions (model, version, format, manifest, content_digest, artifact_path, state, registered_by)
       VALUES ('m', $1, 'onnx', '{}', 'd', '/x', $2, 'system')`,
      [version, state],
    );
  }
});
afterEach(() => db[Symbol.asyncDispose]());

const create = () => endpoints.create({ name: 'front', model: 'm', version: '1', actor: 'key:a', requestId: 'r-1' });
const split = (weight: number) => [
  { name: 'stable', version: '1', weight: 100 - weight },
  { name: 'candidate', version: '2', weight },
];
const write = (rest: Partial<Parameters<Endpoints['writeRoute']>[0]> = {}) =>
  endpoints.writeRoute({ endpoint: 'front', arms: split(5), reason: 'test', madeBy: 'key:a', ...rest });
const code = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => 'none',
    (failure: unknown) => (isSluiceError(failure) ? failure.code : String(failure)),
  );
const hold = (rolloutId: string) => db.database.run((tx) => endpoints.hold(tx, 'front', rolloutId));
const replica = (version: string, state: string, reason: string | null = null) =>
  db.database.query(
    `INSERT INTO replicas (id, model, version, host, address, state, reason, ready_at, ended_at)
     VALUES ($1, 'm', $2, 'h', 'unix:/x', $3, $4, CASE WHEN $3 = 'ready' THEN now() END, CASE WHEN $3 = 'failed' THEN now() END)`,
    [randomUUID(), version, state, reason],
  );

describe('a new endpoint', () => {
  it('gives its version all traffic by revision 1, asks for a replica and leaves proof', async () => {
    const view = await create();
    expect(view).toMatchObject({
      name: 'front',
      model: 'm',
      rolloutId: null,
      route: { revision: 1, arms: [{ name: 'stable', version: '1', weight: 100 }] },
    });
    expect(await replicaSets.list()).toMatchObject([{ model: 'm', version: '1', desired: 1, ready: 0 }]);
    const audit = await db.database.query<{ action: string }>(
      `SELECT action FROM audit_events WHERE request_id = 'r-1' ORDER BY seq`,
    );
    expect(audit.map(({ action }) => action)).toEqual(['replicas.scale', 'endpoint.create', 'route.write']);
  });

  it('asks for as many replicas as its manifest says, and for no fewer than are there', async () => {
    await db.database.query(`UPDATE model_versions SET manifest = '{"instances": {"count": 3}}' WHERE version = '1'`);
    await create();
    expect(await replicaSets.desired('m', '1')).toBe(3);
    const wish = { model: 'm', version: '1', desired: 5, actor: 'a' };
    await db.database.run((tx) => replicaSets.setDesired(tx, wish));
    await endpoints.create({ name: 'second', model: 'm', version: '1', actor: 'a' });
    expect(await replicaSets.desired('m', '1')).toBe(5);
  });

  it('is refused twice, for an unknown version and for an archived one, and leaves nothing then', async () => {
    expect(await code(endpoints.create({ name: 'front', model: 'm', version: '9', actor: 'a' }))).toBe(
      'SLU_MODEL_VERSION_UNKNOWN',
    );
    expect(await code(endpoints.create({ name: 'front', model: 'm', version: 'old', actor: 'a' }))).toBe(
      'SLU_MODEL_VERSION_ARCHIVED',
    );
    expect(await endpoints.list()).toEqual([]);
    await create();
    expect(await code(create())).toBe('SLU_ENDPOINT_CONFLICT');
    expect(await endpoints.list()).toHaveLength(1);
  });

  it('created ten times at once is created once', async () => {
    const codes = await Promise.all(Array.from({ length: 10 }, () => code(create())));
    expect(codes.filter((each) => each === 'none')).toHaveLength(1);
    expect(codes.filter((each) => each === 'SLU_ENDPOINT_CONFLICT')).toHaveLength(9);
  });

  it('does not lower the replicas that another endpoint asked for', async () => {
    await db.database.run((tx) => replicaSets.setDesired(tx, { model: 'm', version: '1', desired: 3, actor: 'a' }));
    await create();
    expect(await replicaSets.desired('m', '1')).toBe(3);
  });
});

describe('a route', () => {
  it('is the next revision, and earlier ones stay as they were', async () => {
    await create();
    expect(await write()).toMatchObject({ revision: 2, arms: split(5) });
    expect((await endpoints.get('front')).route.revision).toBe(2);
    expect((await endpoints.history('front')).map(({ revision }) => revision)).toEqual([2, 1]);
  });

  it.each([
    ['weights that do not sum to 100', [{ name: 'stable', version: '1', weight: 99 }], 'SLU_ROUTE_INVALID'],
    ['a weight that is no number', [{ name: 'stable', version: '1', weight: Number.NaN }], 'SLU_ROUTE_INVALID'],
    [
      'a negative weight',
      [
        { name: 'a', version: '1', weight: -1 },
        { name: 'b', version: '2', weight: 101 },
      ],
      'SLU_ROUTE_INVALID',
    ],
    [
      'one arm twice',
      [
        { name: 'a', version: '1', weight: 50 },
        { name: 'a', version: '2', weight: 50 },
      ],
      'SLU_ROUTE_INVALID',
    ],
    ['no arms', [], 'SLU_ROUTE_INVALID'],
    ['an unknown version', [{ name: 'stable', version: '9', weight: 100 }], 'SLU_MODEL_VERSION_UNKNOWN'],
    ['an archived version', [{ name: 'stable', version: 'old', weight: 100 }], 'SLU_MODEL_VERSION_ARCHIVED'],
  ])('with %s is refused, and nothing changes', async (_what, arms, expected) => {
    await create();
    expect(await code(write({ arms }))).toBe(expected);
    expect((await endpoints.get('front')).route.revision).toBe(1);
  });

  it('written twenty times at once makes twenty revisions in a row', async () => {
    await create();
    const routes = await Promise.all(Array.from({ length: 20 }, () => write()));
    expect(routes.map(({ revision }) => revision).sort((a, b) => a - b)).toEqual(
      Array.from({ length: 20 }, (_, at) => at + 2),
    );
  });

  it('is refused when another revision is live than the writer saw', async () => {
    await create();
    await write();
    expect(await code(write({ expectedRevision: 1 }))).toBe('SLU_ROUTE_STALE');
  });
});

describe('the fence of a rollout', () => {
  const rolloutId = randomUUID();
  beforeEach(async () => {
    await create();
    await hold(rolloutId);
  });

  it('makes a repeated write answer the same revision and change nothing', async () => {
    const first = await write({ rolloutId, fence: 1 });
    const again = await write({ rolloutId, fence: 1, arms: split(50) });
    expect(again).toEqual(first);
    expect(await endpoints.history('front')).toHaveLength(2);
  });

  it('holds for repeats at the same moment', async () => {
    const all = await Promise.all(Array.from({ length: 8 }, () => write({ rolloutId, fence: 1 })));
    expect(new Set(all.map(({ revision }) => revision))).toEqual(new Set([2]));
  });

  it('refuses an older decision after a newer one', async () => {
    await write({ rolloutId, fence: 3 });
    expect(await code(write({ rolloutId, fence: 2 }))).toBe('SLU_ROUTE_STALE');
  });

  it('refuses a rollout that no longer holds the endpoint, but still answers its last repeat', async () => {
    await write({ rolloutId, fence: 1 });
    await db.database.run((tx) => endpoints.release(tx, 'front', rolloutId));
    expect(await code(write({ rolloutId, fence: 2 }))).toBe('SLU_ROUTE_STALE');
    expect(await write({ rolloutId, fence: 1 })).toMatchObject({ revision: 2 });
  });

  it('keeps everyone else away while it holds the endpoint', async () => {
    expect(await code(write())).toBe('SLU_ENDPOINT_HELD');
    expect(await code(write({ rolloutId: randomUUID(), fence: 1 }))).toBe('SLU_ROUTE_STALE');
    expect(await code(hold(randomUUID()))).toBe('SLU_ENDPOINT_HELD');
    expect(await code(endpoints.rollbackTo({ endpoint: 'front', revision: 1, actor: 'a' }))).toBe('SLU_ENDPOINT_HELD');
  });

  it('is given back only by the rollout that holds it', async () => {
    await db.database.run((tx) => endpoints.release(tx, 'front', randomUUID()));
    expect((await endpoints.get('front')).rolloutId).toBe(rolloutId);
  });
});

describe('a rollback', () => {
  const all = (version: string) => [{ name: 'stable', version, weight: 100 }];

  it('goes back to the latest version that had all traffic, once a replica of it is ready', async () => {
    await create();
    await write();
    await write({ arms: all('2') });
    await db.database.run((tx) => replicaSets.setDesired(tx, { model: 'm', version: '1', desired: 0, actor: 'a' }));
    const rollback = endpoints.rollbackTo({ endpoint: 'front', actor: 'key:b' });
    await expect.poll(() => replicaSets.desired('m', '1')).toBe(1);
    expect((await endpoints.get('front')).route.revision).toBe(3);
    await replica('1', 'ready');
    expect(await rollback).toMatchObject({
      revision: 4,
      arms: all('1'),
      reason: 'rolled back to revision 1',
      madeBy: 'key:b',
    });
  });

  it('goes back to any revision that is named', async () => {
    await create();
    await write();
    await write({ arms: all('2') });
    for (const version of ['1', '2']) await replica(version, 'ready');
    expect(await endpoints.rollbackTo({ endpoint: 'front', revision: 2, actor: 'a' })).toMatchObject({
      revision: 4,
      arms: split(5),
    });
  });

  it('is refused where there is nothing to go back to', async () => {
    await create();
    expect(await code(endpoints.rollbackTo({ endpoint: 'front', actor: 'a' }))).toBe('SLU_ROUTE_UNKNOWN');
    expect(await code(endpoints.rollbackTo({ endpoint: 'front', revision: 7, actor: 'a' }))).toBe('SLU_ROUTE_UNKNOWN');
    expect(await code(endpoints.rollbackTo({ endpoint: 'none', actor: 'a' }))).toBe('SLU_ENDPOINT_UNKNOWN');
  });

  it('to a version that does not start changes nothing, and what it brought up goes down again', async () => {
    await create();
    await write({ arms: all('2') });
    await db.database.run((tx) => replicaSets.setDesired(tx, { model: 'm', version: '1', desired: 0, actor: 'a' }));
    const rollback = code(endpoints.rollbackTo({ endpoint: 'front', actor: 'a' }));
    await expect.poll(() => replicaSets.desired('m', '1')).toBe(1);
    for (let count = 0; count < 3; count += 1) await replica('1', 'failed', 'bad graph');
    expect(await rollback).toBe('SLU_REPLICA_FAILED');
    expect(await replicaSets.desired('m', '1')).toBe(0);
    expect((await endpoints.get('front')).route.revision).toBe(2);
  });

  it('is refused when the route changed while it waited for capacity', async () => {
    await create();
    await write({ arms: all('2') });
    const rollback = code(endpoints.rollbackTo({ endpoint: 'front', revision: 1, actor: 'a' }));
    await write({ arms: split(50) });
    await replica('1', 'ready');
    expect(await rollback).toBe('SLU_ROUTE_STALE');
  });

  it('that comes too late takes down what it brought up, but never what a live route has come to need', async () => {
    await create();
    await write({ arms: all('2') });
    for (const [arms, desired] of [
      [all('2'), 0],
      [split(50), 1],
    ] as const) {
      await db.database.run((tx) => replicaSets.setDesired(tx, { model: 'm', version: '1', desired: 0, actor: 'a' }));
      const rollback = code(endpoints.rollbackTo({ endpoint: 'front', revision: 1, actor: 'a' }));
      await expect.poll(() => replicaSets.desired('m', '1')).toBe(1);
      await write({ arms });
      await replica('1', 'ready');
      expect(await rollback).toBe('SLU_ROUTE_STALE');
      expect(await replicaSets.desired('m', '1')).toBe(desired);
      await db.database.query('DELETE FROM replicas');
    }
  });
});
