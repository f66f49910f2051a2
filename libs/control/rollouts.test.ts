import { sluiceError } from '#libs/kernel';
import { Endpoints, ReplicaSets } from '#libs/inference';
import type { RolloutInput } from '#workflows/rollout/contract';
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { freshDatabase, type FreshDatabase } from '../../test/support/database.js';
import {
  AbandonedRollouts,
  RolloutLedger,
  Rollouts,
  RolloutSweeper,
  RolloutWorkflows,
  TemporalLink,
  VersionDrain,
} from './index.js';
import type { RolloutParts } from './rollouts.js';

let db: FreshDatabase;
let endpoints: Endpoints;
let started: RolloutInput[];

function rolloutsWith(workflows: Partial<RolloutParts['workflows']> = {}): Rollouts {
  const ledger = new RolloutLedger(db.database, endpoints);
  return new Rollouts({
    database: db.database,
    endpoints,
    ledger,
    workflows: {
      start: async (input) => void started.push(input),
      command: async () => ({ phase: 'paused' }),
      ...workflows,
    },
  });
}

const failing = (code: Parameters<typeof sluiceError>[0]) => async (): Promise<never> => {
  throw sluiceError(code);
};
const withCode = (code: string): Error => expect.objectContaining({ code }) as Error;
const ask = { endpoint: 'tone', candidate: '2' };
const holder = async (): Promise<string | null> => (await endpoints.get('tone')).rolloutId;

beforeEach(async () => {
  db = await freshDatabase();
  onTestFinished(async () => db[Symbol.asyncDispose]());
  started = [];
  for (const [version, state] of [
    ['1', 'registered'],
    ['2', 'registered'],
    ['3', 'archived'],
  ]) {
    await db.database.query(
      `INSERT INTO model_versions (model, version, format, manifest, content_digest, artifact_path, state, registered_by)
       VALUES ('tone', $1, 'onnx', '{}', $1, '/none', $2, 'test')`,
      [version, state],
    );
  }
  endpoints = new Endpoints(db.database, new ReplicaSets(db.database));
  await endpoints.create({ name: 'tone', model: 'tone', version: '1', actor: 'test' });
});

describe('starting a rollout', () => {
  it.each([
    ['as the manifest of the candidate says', '{"instances": {"count": 4}}', {}, 4],
    ['as the request says', '{"instances": {"count": 4}}', { replicas: 2 }, 2],
    ['one when nobody says anything', '{}', {}, 1],
  ])('prepares as many replicas %s', async (_what, manifest, more, replicas) => {
    await db.database.query(`UPDATE model_versions SET manifest = $1 WHERE version = '2'`, [manifest]);
    await rolloutsWith().start({ ...ask, ...more }, 'key:me');
    expect(started).toMatchObject([{ spec: { replicas } }]);
  });

  it('holds the endpoint, writes the row, its first line and the audit row, and starts the workflow', async () => {
    const view = await rolloutsWith().start(ask, 'key:me');
    expect(view).toMatchObject({
      phase: 'requested',
      stableVersion: '1',
      candidateVersion: '2',
      startedBy: 'key:me',
      commands: ['abort'],
      endedAt: null,
    });
    expect(view.events).toMatchObject([{ kind: 'requested', actor: 'key:me', detail: { from: '1', to: '2' } }]);
    expect(await holder()).toBe(view.id);
    expect(started).toMatchObject([
      {
        rolloutId: view.id,
        startedBy: 'key:me',
        spec: { model: 'tone', steps: [{ weight: 5, minRequests: 200 }, {}, {}] },
      },
    ]);
    const audits = await db.database.query(
      `SELECT actor FROM audit_events WHERE action = 'rollout.start' AND resource = $1`,
      [`rollout:${view.id}`],
    );
    expect(audits).toEqual([{ actor: 'key:me' }]);
  });

  it('refuses a second one on the same endpoint and names the first', async () => {
    const first = await rolloutsWith().start(ask, 'key:me');
    await expect(rolloutsWith().start(ask, 'key:me')).rejects.toMatchObject({
      code: 'SLU_ENDPOINT_HELD',
      detail: { rolloutId: first.id },
    });
  });

  it.each([
    [{ endpoint: 'nowhere', candidate: '2' }, 'SLU_ENDPOINT_UNKNOWN'],
    [{ endpoint: 'tone', candidate: '9' }, 'SLU_MODEL_VERSION_UNKNOWN'],
    [{ endpoint: 'tone', candidate: '3' }, 'SLU_MODEL_VERSION_ARCHIVED'],
    [{ endpoint: 'tone', candidate: '1' }, 'SLU_ROLLOUT_INVALID'],
  ])('refuses %j with %s and leaves nothing behind', async (body, code) => {
    await expect(rolloutsWith().start(body, 'key:me')).rejects.toThrow(withCode(code));
    expect(await rolloutsWith().list()).toEqual([]);
    expect(await holder()).toBeNull();
  });

  it('gives the endpoint back when Temporal is away, within three seconds', async () => {
    await using link = new TemporalLink({ address: '127.0.0.1:1', namespace: 'default' });
    const rollouts = rolloutsWith({ start: (input) => new RolloutWorkflows(link).start(input) });
    const beganMs = performance.now();
    await expect(rollouts.start(ask, 'key:me')).rejects.toThrow(withCode('SLU_PLATFORM_TEMPORAL_DOWN'));
    expect(performance.now() - beganMs).toBeLessThan(3_500);
    expect(await holder()).toBeNull();
    expect(await rollouts.list()).toMatchObject([
      { phase: 'failed', reason: expect.stringContaining('not reachable') as string },
    ]);
    await expect(rolloutsWith().start(ask, 'key:me')).resolves.toMatchObject({ phase: 'requested' });
  });
});

describe('commands', () => {
  it("carries the rollout's own refusal to who asked", async () => {
    const { id } = await rolloutsWith().start(ask, 'key:me');
    const refusing = rolloutsWith({
      command: async () => Promise.reject(sluiceError('SLU_ROLLOUT_REFUSED', { command: 'pause', problem: 'no' })),
    });
    await expect(refusing.command(id, 'pause', { actor: 'key:me' })).rejects.toThrow('the rollout refuses pause: no');
  });

  it('refuses an ended rollout without asking Temporal', async () => {
    const rollouts = rolloutsWith({ start: failing('SLU_PLATFORM_TEMPORAL_DOWN'), command: failing('SLU_INTERNAL') });
    await expect(rollouts.start(ask, 'key:me')).rejects.toThrow();
    const [ended] = await rollouts.list();
    await expect(rollouts.command(ended!.id, 'abort', { actor: 'key:me' })).rejects.toThrow(
      withCode('SLU_ROLLOUT_REFUSED'),
    );
  });

  it('knows no rollout of another name', async () => {
    for (const id of ['00000000-0000-4000-8000-000000000000', 'x', "'; --"]) {
      await expect(rolloutsWith().get(id)).rejects.toThrow(withCode('SLU_ROLLOUT_UNKNOWN'));
    }
  });

  it('says so when the workflow of an open rollout is not there yet', async () => {
    const { id } = await rolloutsWith().start(ask, 'key:me');
    const absent = rolloutsWith({ command: failing('SLU_ROLLOUT_UNKNOWN') });
    await expect(absent.command(id, 'abort', { actor: 'key:me' })).rejects.toThrow(withCode('SLU_ROLLOUT_UNANSWERED'));
  });
});

describe('the sweeper', () => {
  const silent = { info: () => undefined, warn: () => undefined };
  const abandoned = (): AbandonedRollouts => {
    const replicaSets = new ReplicaSets(db.database);
    const ledger = new RolloutLedger(db.database, endpoints);
    const drain = new VersionDrain(db.database, replicaSets);
    return new AbandonedRollouts({ database: db.database, endpoints, replicaSets, ledger, drain });
  };
  const sweeperWith = (presence: 'running' | 'ended' | 'absent'): RolloutSweeper =>
    new RolloutSweeper({
      database: db.database,
      abandoned: abandoned(),
      workflows: { start: async (input) => void started.push(input), presence: async () => presence },
      logger: silent,
    });
  const age = (seconds: number): Promise<unknown> =>
    db.database.query(`UPDATE rollouts SET updated_at = now() - make_interval(secs => $1)`, [seconds]);

  it('starts the workflow of a rollout whose process died in between, and not of one that is just being started', async () => {
    const { id } = await rolloutsWith({ start: async () => undefined }).start(ask, 'key:me');
    await using sweeper = sweeperWith('absent');
    await sweeper.sweep();
    expect(started).toEqual([]);
    await age(11);
    await sweeper.sweep();
    expect(started).toMatchObject([{ rolloutId: id, startedBy: 'key:me', spec: { candidateVersion: '2' } }]);
  });

  const addReplica = (version: string): Promise<unknown> =>
    db.database.query(
      `INSERT INTO replicas (id, model, version, host, address, state, ready_at)
       VALUES (gen_random_uuid(), 'tone', $1, 'test', 'unix:/none', 'ready', now())`,
      [version],
    );
  const split = [
    { name: 'stable', version: '1', weight: 75 },
    { name: 'candidate', version: '2', weight: 25 },
  ];
  const routed = (id: string, fence: number, arms: typeof split): Promise<unknown> =>
    endpoints.writeRoute({ endpoint: 'tone', arms, reason: 'step', madeBy: 'test', rolloutId: id, fence });
  const liveArms = async (): Promise<unknown> => (await endpoints.get('tone')).route.arms;
  const desired = async (version: string): Promise<number> => new ReplicaSets(db.database).desired('tone', version);

  /** A rollout in the middle of its steps; then its workflow is gone for a while. */
  async function lostRollout(): Promise<string> {
    const { id } = await rolloutsWith().start({ ...ask, drainSeconds: 0 }, 'key:me');
    await routed(id, 1, split);
    await db.database.query(`INSERT INTO replica_sets (model, version, desired) VALUES ('tone', '2', 1)`);
    await db.database.query(`UPDATE rollouts SET phase = 'paused', weight = 25`);
    await age(11);
    return id;
  }

  it('leaves a rollout alone whose workflow runs', async () => {
    const id = await lostRollout();
    await using sweeper = sweeperWith('running');
    await sweeper.sweep();
    expect(await holder()).toBe(id);
    expect(await liveArms()).toEqual(split);
  });

  it.each(['ended', 'absent'] as const)(
    'gives stable all traffic back when the workflow is %s, then drains the candidate and closes the row',
    async (presence) => {
      const id = await lostRollout();
      await addReplica('1');
      await using sweeper = sweeperWith(presence);
      await sweeper.sweep();
      expect(await liveArms()).toEqual([{ name: 'stable', version: '1', weight: 100 }]);
      expect(await rolloutsWith().get(id)).toMatchObject({ phase: 'rolling-back', weight: 0, endedAt: null });
      expect(await desired('2')).toBe(1);
      // A late activity of the workflow that is gone cannot bring the split back.
      await expect(routed(id, 2, split)).rejects.toThrow(withCode('SLU_ROUTE_STALE'));
      await age(11);
      await sweeper.sweep();
      await sweeper.sweep();
      expect(await rolloutsWith().get(id)).toMatchObject({
        phase: 'failed',
        reason: 'its workflow ended from outside while it was paused; all traffic goes back to version 1',
        events: [{ kind: 'requested' }, { kind: 'route', actor: 'system' }, { kind: 'ended', actor: 'system' }],
      });
      expect(await holder()).toBeNull();
      expect(await desired('2')).toBe(0);
      const audits = await db.database.query(
        `SELECT action FROM audit_events WHERE actor = 'system' AND resource = $1 ORDER BY seq`,
        [`rollout:${id}`],
      );
      expect(audits).toEqual([{ action: 'rollout.route' }, { action: 'rollout.end' }]);
    },
  );

  it('waits for a ready replica of stable before it routes back, but not for ever', async () => {
    const id = await lostRollout();
    await using sweeper = sweeperWith('ended');
    await sweeper.sweep();
    expect(await liveArms()).toEqual(split);
    expect(await holder()).toBe(id);
    await age(301);
    await sweeper.sweep();
    expect(await liveArms()).toEqual(split);
    expect(await holder()).toBeNull();
    expect((await rolloutsWith().get(id)).reason).toContain('no ready replica, so the route stays split');
    // What has traffic keeps its replicas.
    expect(await desired('2')).toBe(1);
  });

  it("leaves the route alone when it is not the rollout's own any more", async () => {
    const id = await lostRollout();
    await addReplica('1');
    await db.database.query(`UPDATE endpoints SET rollout_id = NULL`);
    await using sweeper = sweeperWith('ended');
    await sweeper.sweep();
    expect(await liveArms()).toEqual(split);
    expect(await rolloutsWith().get(id)).toMatchObject({ phase: 'failed' });
  });

  it('closes a rollout as promoted when the candidate had got all traffic before the workflow was gone', async () => {
    const id = await lostRollout();
    const final = [{ name: 'stable', version: '2', weight: 100 }];
    await routed(id, 2, final);
    await using sweeper = sweeperWith('ended');
    await sweeper.sweep();
    expect(await rolloutsWith().get(id)).toMatchObject({ phase: 'promoted', weight: 100 });
    expect(await liveArms()).toEqual(final);
    expect([await desired('1'), await desired('2')]).toEqual([0, 1]);
    expect(await holder()).toBeNull();
  });
});
