import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { freshDatabase, type FreshDatabase } from '../../../test/support/database.js';
import { ServingRowsWriter } from '../../../test/support/serving-rows.js';
import { EndpointLoading } from './endpoints-loading.js';
import { Endpoints } from './endpoints.js';
import { ReplicaSets } from '../replicas/replica-sets.js';

let db: FreshDatabase;
let rows: ServingRowsWriter;
let sets: ReplicaSets;
let loading: EndpointLoading;
let up: Set<string>;

beforeEach(async () => {
  db = await freshDatabase();
  rows = new ServingRowsWriter(db.database);
  sets = new ReplicaSets(db.database);
  up = new Set();
  loading = loadingWithin(10);
  await rows.version('tone', '1', { instances: { count: 2 } });
  await rows.version('tone', '2');
  await rows.version('tone', '3');
  await rows.endpoint('tone', 'tone', [
    { name: 'stable', version: '1', weight: 90 },
    { name: 'candidate', version: '2', weight: 10 },
    { name: 'shadow', version: '3', weight: 0 },
  ]);
});
afterEach(() => db[Symbol.asyncDispose]());

const loadingWithin = (waitSeconds: number): EndpointLoading =>
  new EndpointLoading({
    database: db.database,
    endpoints: new Endpoints(db.database, sets),
    replicaSets: sets,
    isUp: (key) => up.has(key),
    waitSeconds,
  });

const wish = { endpoint: 'tone', actor: 'key:k', requestId: 'r-1' };
const audited = (): Promise<{ action: string; detail: object }[]> =>
  db.database.query(`SELECT action, detail FROM audit_events ORDER BY seq`);
const desired = async (): Promise<Record<string, number>> =>
  Object.fromEntries((await sets.list()).map((set) => [set.version, set.desired]));

describe('load', () => {
  it('asks for what the manifests of the versions with traffic state, with its audit row, and waits for all of it', async () => {
    await rows.replica('tone', '1');
    await rows.replica('tone', '2');
    let isDone = false;
    const work = loading.load(wish).then(() => (isDone = true));
    await expect.poll(desired).toEqual({ 1: 2, 2: 1 });
    up.add('tone/1').add('tone/2');
    // One of two is not all of it.
    await expect.poll(() => sets.readyCount('tone', '1')).toBe(1);
    expect(isDone).toBe(false);
    await rows.replica('tone', '1');
    await work;
    expect(await audited()).toEqual([
      { action: 'replicas.scale', detail: { from: 0, to: 2 } },
      { action: 'replicas.scale', detail: { from: 0, to: 1 } },
      { action: 'endpoint.load', detail: { versions: '1:2 2:1' } },
    ]);
  });

  it('never lowers what is wanted already', async () => {
    await rows.desire('tone', '1', 5);
    await rows.desire('tone', '2', 1);
    for (const version of ['1', '1', '2']) await rows.replica('tone', version);
    up.add('tone/1').add('tone/2');
    await loading.load(wish);
    expect(await desired()).toEqual({ 1: 5, 2: 1 });
  });

  it('waits for this process to see what the database says', async () => {
    for (const version of ['1', '1', '2']) await rows.replica('tone', version);
    await expect(loadingWithin(0.3).load(wish)).rejects.toMatchObject({
      code: 'SLU_INFERENCE_NOT_READY',
      retryAfterSeconds: 5,
    });
    // The wish stays, so that a second call has less to wait for.
    expect(await desired()).toEqual({ 1: 2, 2: 1 });
  });

  it('says why a version does not start', async () => {
    await rows.desire('tone', '1', 2);
    for (let attempt = 0; attempt < 3; attempt += 1) await rows.replica('tone', '1', 'failed');
    await expect(loading.load(wish)).rejects.toMatchObject({ code: 'SLU_REPLICA_FAILED' });
  });

  it('ends with its caller', async () => {
    const abort = new AbortController();
    const work = loading.load({ ...wish, signal: abort.signal });
    await expect.poll(desired).toEqual({ 1: 2, 2: 1 });
    abort.abort();
    await expect(work).rejects.toMatchObject({ code: 'SLU_REQUEST_ABANDONED' });
  });

  it('knows no endpoint that is not there, and loads no archived version', async () => {
    await expect(loading.load({ ...wish, endpoint: 'tune' })).rejects.toMatchObject({ code: 'SLU_ENDPOINT_UNKNOWN' });
    await db.database.query(`UPDATE model_versions SET state = 'archived' WHERE version = '2'`);
    await expect(loading.load(wish)).rejects.toMatchObject({ code: 'SLU_MODEL_VERSION_ARCHIVED' });
    expect(await audited()).toEqual([]);
    expect(await desired()).toEqual({});
  });
});

describe('unload', () => {
  it('asks for no replicas of any version of the route, with its audit row, and waits until nothing is sent there', async () => {
    for (const version of ['1', '2', '3']) await rows.desire('tone', version, 1);
    up.add('tone/1');
    let isDone = false;
    const work = loading.unload(wish).then(() => (isDone = true));
    await expect.poll(desired).toEqual({ 1: 0, 2: 0, 3: 0 });
    expect(isDone).toBe(false);
    up.clear();
    await work;
    expect((await audited()).at(-1)).toEqual({ action: 'endpoint.unload', detail: { versions: '1:0 2:0 3:0' } });
  });

  it('is refused while a rollout holds the endpoint, and changes nothing', async () => {
    await rows.desire('tone', '1', 1);
    await db.database.query(`UPDATE endpoints SET rollout_id = gen_random_uuid()`);
    await expect(loading.unload(wish)).rejects.toMatchObject({ code: 'SLU_ENDPOINT_HELD', status: 409 });
    expect([await desired(), await audited()]).toEqual([{ 1: 1 }, []]);
  });

  it('is refused while another endpoint gives one of the versions traffic, and names it', async () => {
    await rows.desire('tone', '1', 1);
    await rows.desire('tone', '2', 1);
    await rows.endpoint('mood', 'tone', [{ name: 'stable', version: '2', weight: 100 }]);
    await expect(loading.unload(wish)).rejects.toMatchObject({
      code: 'SLU_MODEL_VERSION_IN_USE',
      message: 'version 2 of model tone is in use: endpoint mood',
    });
    expect([await desired(), await audited()]).toEqual([{ 1: 1, 2: 1 }, []]);
  });

  it('may be asked for twice, and by many at once', async () => {
    await rows.desire('tone', '1', 1);
    await Promise.all([loading.unload(wish), loading.unload(wish), loading.unload(wish)]);
    expect(await desired()).toEqual({ 1: 0 });
    expect((await audited()).map(({ action }) => action)).toEqual([
      'replicas.scale',
      'endpoint.unload',
      'endpoint.unload',
      'endpoint.unload',
    ]);
  });
});
