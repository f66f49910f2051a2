import { OutcomeEvidence } from '#libs/control';
import { defaultGuardrails } from '#libs/decisions';
import type { RolloutSpec } from '#workflows/rollout/contract';
import { MockActivityEnvironment } from '@temporalio/testing';
import { randomUUID } from 'node:crypto';
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { rolloutPorts } from './rollout-ports.js';
import { freshDatabase, type FreshDatabase } from '../test/support/database.js';
import { createRolloutActivities, type RolloutActivities } from './rollout.activities.js';

const rolloutId = randomUUID();
const workflowActor = `workflow:rollout:${rolloutId}`;
const spec = { endpoint: 'tone', model: 'tone', stableVersion: '1', candidateVersion: '2' } as RolloutSpec;

let db: FreshDatabase;
let activities: RolloutActivities;

/** An endpoint `tone` with version 1 live, held by one rollout to version 2. */
async function scene(): Promise<void> {
  db = await freshDatabase();
  onTestFinished(async () => db[Symbol.asyncDispose]());
  for (const version of ['1', '2']) {
    await db.database.query(
      `INSERT INTO model_versions (model, version, format, manifest, content_digest, artifact_path, state, registered_by)
       VALUES ('tone', $1, 'onnx', '{}', $1, '/none', 'registered', 'test')`,
      [version],
    );
    await db.database.query(`INSERT INTO replica_sets (model, version, desired) VALUES ('tone', $1, 1)`, [version]);
  }
  await db.database.query(
    `INSERT INTO endpoints (name, model, revision, created_by, rollout_id) VALUES ('tone', 'tone', 1, 'test', $1)`,
    [rolloutId],
  );
  await db.database.query(
    `INSERT INTO routes (endpoint, revision, arms, reason, made_by) VALUES ('tone', 1, '[{"name":"stable","version":"1","weight":100}]', 'first', 'test')`,
  );
  await db.database.query(
    `INSERT INTO rollouts (id, endpoint, model, stable_version, candidate_version, strategy, spec, phase, started_by)
     VALUES ($1, 'tone', 'tone', '1', '2', 'canary', $2, 'requested', 'key:test')`,
    [rolloutId, JSON.stringify(spec)],
  );
  activities = createRolloutActivities(rolloutPorts(db.database));
}

const run = <A extends unknown[], R>(activity: (...args: A) => Promise<R>, ...args: A): Promise<R> =>
  new MockActivityEnvironment().run(activity, ...args);

const routeAsk = (fence: number, weight: number): Parameters<RolloutActivities['writeRoute']>[0] => ({
  rolloutId,
  fence,
  endpoint: 'tone',
  reason: 'step',
  arms: [
    { name: 'stable', version: '1', weight: 100 - weight },
    { name: 'candidate', version: '2', weight },
  ],
});

const line = (
  sequence: number,
  phase: 'preparing' | 'stepping' | 'paused',
): Parameters<RolloutActivities['recordProgress']>[0] => ({
  rolloutId,
  sequence,
  kind: 'phase',
  actor: workflowActor,
  detail: { to: phase },
  row: { phase, stepIndex: 0, weight: 0, reason: 'because' },
});

const one = async (sql: string): Promise<Record<string, unknown>> =>
  (await db.database.query<Record<string, unknown>>(sql))[0] ?? {};

describe('writeRoute', () => {
  beforeEach(scene);

  it('answers the same revision when it runs twice, and writes one route', async () => {
    expect(await run(activities.writeRoute, routeAsk(1, 5))).toMatchObject({ revision: 2 });
    expect(await run(activities.writeRoute, routeAsk(1, 5))).toMatchObject({ revision: 2 });
    expect(await one(`SELECT revision, (SELECT count(*)::int FROM routes) AS routes FROM endpoints`)).toEqual({
      revision: 2,
      routes: 2,
    });
  });

  it('refuses a write that was overtaken, for good, and changes nothing', async () => {
    await run(activities.writeRoute, routeAsk(3, 0));
    await expect(run(activities.writeRoute, routeAsk(2, 25))).rejects.toMatchObject({
      type: 'SLU_ROUTE_STALE',
      nonRetryable: true,
    });
    expect(await one(`SELECT revision FROM endpoints`)).toEqual({ revision: 2 });
  });

  it('fails so that it is tried again while PostgreSQL is away', async () => {
    await db.takeAway();
    await expect(run(activities.writeRoute, routeAsk(1, 5))).rejects.toMatchObject({
      type: 'SLU_PLATFORM_DATABASE_DOWN',
      nonRetryable: false,
    });
    await db.giveBack();
    expect(await run(activities.writeRoute, routeAsk(1, 5))).toMatchObject({ revision: 2 });
  });
});

describe('recordProgress', () => {
  beforeEach(scene);

  it('writes the row, the line and its audit row once, however often it runs', async () => {
    for (let attempt = 0; attempt < 3; attempt++)
      expect(await run(activities.recordProgress, line(1, 'preparing'))).toBe('written');
    expect(
      await one(`SELECT phase, (SELECT count(*)::int FROM rollout_events) AS lines,
                        (SELECT count(*)::int FROM audit_events WHERE action = 'rollout.phase') AS audits FROM rollouts`),
    ).toEqual({ phase: 'preparing', lines: 1, audits: 1 });
  });

  it('does not let a late line bring the row back', async () => {
    await run(activities.recordProgress, line(2, 'stepping'));
    await run(activities.recordProgress, line(1, 'preparing'));
    expect(await one(`SELECT phase, (SELECT count(*)::int FROM rollout_events) AS lines FROM rollouts`)).toEqual({
      phase: 'stepping',
      lines: 2,
    });
  });

  it('tells the rollout that nobody wants it any more once its row has ended', async () => {
    await db.database.query(`UPDATE rollouts SET phase = 'failed', ended_at = now()`);
    expect(await run(activities.recordProgress, line(1, 'preparing'))).toBe('ended');
    expect(await one(`SELECT phase, (SELECT count(*)::int FROM rollout_events) AS lines FROM rollouts`)).toEqual({
      phase: 'failed',
      lines: 0,
    });
  });
});

describe('drainVersion', () => {
  beforeEach(scene);
  const drain = (version: string): ReturnType<RolloutActivities['drainVersion']> =>
    run(activities.drainVersion, { rolloutId, model: 'tone', version });

  it('takes the replicas of a version that nothing uses', async () => {
    expect(await drain('2')).toEqual({ isDrained: true });
    expect(await drain('2')).toEqual({ isDrained: true });
    expect(await one(`SELECT desired FROM replica_sets WHERE version = '2'`)).toEqual({ desired: 0 });
  });

  it('leaves a version alone that a live route uses', async () => {
    expect(await drain('1')).toEqual({ isDrained: false, usedBy: 'endpoint:tone' });
    expect(await one(`SELECT desired FROM replica_sets WHERE version = '1'`)).toEqual({ desired: 1 });
  });

  it('leaves a version alone that another open rollout is about to use', async () => {
    const other = randomUUID();
    await db.database.query(
      `INSERT INTO endpoints (name, model, revision, created_by) VALUES ('other', 'tone', 1, 'test')`,
    );
    await db.database.query(
      `INSERT INTO rollouts (id, endpoint, model, stable_version, candidate_version, strategy, spec, phase, started_by)
       VALUES ($1, 'other', 'tone', '0', '2', 'canary', '{}', 'preparing', 'test')`,
      [other],
    );
    expect(await drain('2')).toEqual({ isDrained: false, usedBy: `rollout:${other}` });
  });
});

describe('what comes late', () => {
  beforeEach(scene);
  const raise = (): ReturnType<RolloutActivities['prepareVersion']> =>
    run(activities.prepareVersion, { rolloutId, model: 'tone', version: '2', replicas: 3, limitSeconds: 1 });
  const wanted = (): Promise<unknown> => one(`SELECT desired FROM replica_sets WHERE version = '2'`);

  it.each([`phase = 'draining'`, `phase = 'aborted', ended_at = now()`])(
    'brings no replicas up that nobody would take away (%s)',
    async (state) => {
      await db.database.query(`UPDATE rollouts SET ${state}`);
      await expect(raise()).rejects.toMatchObject({ type: 'SLU_ROUTE_STALE', nonRetryable: true });
      expect(await wanted()).toEqual({ desired: 1 });
    },
  );

  it('takes no replicas away after the end, when others may have brought them up', async () => {
    await db.database.query(`UPDATE rollouts SET ended_at = now()`);
    expect(await run(activities.drainVersion, { rolloutId, model: 'tone', version: '2' })).toMatchObject({
      isDrained: false,
    });
    expect(await wanted()).toEqual({ desired: 1 });
  });
});

describe('finish', () => {
  beforeEach(scene);

  it('ends the rollout and gives the endpoint back, once', async () => {
    const ask = { rolloutId, outcome: 'rolled-back', reason: 'worse', actor: workflowActor } as const;
    await run(activities.finish, ask);
    await run(activities.finish, { ...ask, outcome: 'promoted' });
    expect(await one(`SELECT phase, ended_at IS NOT NULL AS ended, reason FROM rollouts`)).toEqual({
      phase: 'rolled-back',
      ended: true,
      reason: 'worse',
    });
    expect(await one(`SELECT rollout_id FROM endpoints`)).toEqual({ rollout_id: null });
    expect(await one(`SELECT count(*)::int AS audits FROM audit_events WHERE action = 'rollout.end'`)).toEqual({
      audits: 1,
    });
  });
});

describe('prepareVersion', () => {
  beforeEach(scene);
  const prepare = (replicas: number, limitSeconds: number): ReturnType<RolloutActivities['prepareVersion']> =>
    run(activities.prepareVersion, { rolloutId, model: 'tone', version: '2', replicas, limitSeconds });
  const addReplica = (state: string): Promise<unknown> =>
    db.database.query(
      `INSERT INTO replicas (id, model, version, host, address, state, reason, ready_at, ended_at)
       VALUES ($1, 'tone', '2', 'test', 'unix:/none', $2, 'no such operator', NULL, CASE WHEN $2 = 'failed' THEN now() END)`,
      [randomUUID(), state],
    );

  it('raises the wanted number and comes back when so many are ready', async () => {
    const waiting = prepare(2, 20);
    await addReplica('ready');
    await addReplica('ready');
    expect(await waiting).toMatchObject({ isReady: true, ready: 2, desired: 2 });
    expect(await one(`SELECT desired FROM replica_sets WHERE version = '2'`)).toEqual({ desired: 2 });
  });

  it('never lowers the wanted number', async () => {
    await db.database.query(`UPDATE replica_sets SET desired = 5`);
    expect(await prepare(0, 1)).toMatchObject({ isReady: true, desired: 5 });
  });

  it('tells why a version does not start', async () => {
    for (let count = 0; count < 3; count++) await addReplica('failed');
    expect(await prepare(1, 20)).toMatchObject({
      isReady: false,
      isFailing: true,
      ready: 0,
      problem: expect.stringContaining('no such operator') as string,
    });
  });

  it('gives up at the limit and tells how many there are', async () => {
    expect(await prepare(1, 0.5)).toMatchObject({
      isReady: false,
      ready: 0,
      problem: '0 of 1 replicas of tone/2 were ready after 0.5 s',
    });
  });
});

describe('sense', () => {
  beforeEach(scene);
  const count = (arm: string, requests: number, errors: number, secondsAgo: number): Promise<unknown> =>
    db.database.query(
      `INSERT INTO outcome_counters (process, endpoint, revision, arm, version, second, requests, errors, latency)
       VALUES ($1, 'tone', 2, $2, 'x', date_trunc('second', now()) - make_interval(secs => $3), $4, $5, $6)`,
      [randomUUID(), arm, secondsAgo, requests, errors, JSON.stringify({ 200: requests })],
    );
  const ask = (waitSeconds: number): Parameters<RolloutActivities['sense']>[0] => ({
    rolloutId,
    endpoint: 'tone',
    revisions: [2],
    guardrails: defaultGuardrails,
    minRequests: 200,
    waitSeconds,
    until: 'any-verdict',
  });
  beforeEach(async () => {
    await db.database.query(`UPDATE rollouts SET phase = 'stepping'`);
    await run(activities.writeRoute, routeAsk(1, 5));
  });

  it('sums processes and seconds by arm, and shows the verdict in the row', async () => {
    await count('stable', 100, 1, 1);
    await count('stable', 90, 0, 2);
    await count('candidate', 10, 0, 1);
    const { evidence } = await run(activities.sense, ask(0));
    expect(evidence.segments).toEqual([
      {
        stable: { requests: 190, errors: 1, latency: { 200: 190 } },
        candidate: { requests: 10, errors: 0, latency: { 200: 10 } },
      },
    ]);
    expect(await one(`SELECT verdict->>'outcome' AS outcome FROM rollouts`)).toEqual({ outcome: 'undecided' });
  });

  it('comes back long before its time when the candidate turns out worse', async () => {
    await count('stable', 950, 1, 3);
    const looking = run(activities.sense, ask(60));
    await count('candidate', 50, 12, 1);
    expect((await looking).evidence.segments[0]?.candidate.errors).toBe(12);
  });

  it('ends when it is cancelled', async () => {
    const env = new MockActivityEnvironment();
    const looking = env.run(activities.sense, ask(60));
    env.cancel();
    await expect(looking).rejects.toThrow(/cancel/i);
  });
});

describe('the sum of old counters', () => {
  beforeEach(scene);

  it('is remembered, so that a long step is not read again and again, and is the same for a new process', async () => {
    await run(activities.writeRoute, routeAsk(1, 5));
    const processId = randomUUID();
    for (let age = 0; age < 400; age += 40) {
      await db.database.query(
        `INSERT INTO outcome_counters VALUES ($1, 'tone', 2, 'candidate', '2', date_trunc('second', now()) - make_interval(secs => $2), 7, 1, '{"9": 7}')`,
        [processId, age],
      );
    }
    let rowsRead = 0;
    const counting: Pick<typeof db.database, 'query'> = {
      query: async (sql, parameters) => {
        const rows = await db.database.query<never>(sql, parameters);
        rowsRead = rows.length;
        return rows;
      },
    };
    const evidence = new OutcomeEvidence(counting);
    const first = await evidence.read({ endpoint: 'tone', revisions: [2] });
    expect(rowsRead).toBe(10);
    const second = await evidence.read({ endpoint: 'tone', revisions: [2] });
    expect(rowsRead).toBeLessThan(5);
    expect(second).toEqual(first);
    expect(await new OutcomeEvidence(counting).read({ endpoint: 'tone', revisions: [2] })).toEqual(first);
    expect(first[0]?.candidate).toEqual({ requests: 70, errors: 10, latency: { 9: 70 } });
  });

  it('takes in what one process wrote late or by a slow clock, after others went far ahead', async () => {
    await run(activities.writeRoute, routeAsk(1, 5));
    const evidence = new OutcomeEvidence(db.database);
    const [early, late] = [randomUUID(), randomUUID()];
    const write = (process: string, secondsAgo: number, errors: number): Promise<unknown> =>
      db.database.query(
        `INSERT INTO outcome_counters VALUES ($1, 'tone', 2, 'candidate', '2', date_trunc('second', now()) - make_interval(secs => $2), 10, $3, '{"9": 10}')
         ON CONFLICT (endpoint, second, revision, arm, version, process) DO UPDATE SET requests = EXCLUDED.requests, errors = EXCLUDED.errors`,
        [process, secondsAgo, errors],
      );
    const seen = async (): Promise<unknown> =>
      (await evidence.read({ endpoint: 'tone', revisions: [2] }))[0]?.candidate;
    await write(early, 800, 0);
    await write(early, 0, 0);
    expect(await seen()).toMatchObject({ requests: 20, errors: 0 });
    for (const secondsAgo of [700, 600, 500]) await write(late, secondsAgo, 5);
    expect(await seen()).toMatchObject({ requests: 50, errors: 15 });
    // Written once more, and read when the first of them are remembered as a sum: counted once.
    for (const secondsAgo of [700, 600, 500]) await write(late, secondsAgo, 5);
    expect(await seen()).toMatchObject({ requests: 50, errors: 15 });
    // A process that is gone is not forgotten with its last rows.
    const longAgo = await new OutcomeEvidence(db.database).read({ endpoint: 'tone', revisions: [2] });
    expect(longAgo[0]?.candidate).toMatchObject({ requests: 50, errors: 15 });
    // A clock that is far ahead hides nobody's numbers.
    await write(randomUUID(), -7_200, 0);
    await write(late, 400, 5);
    expect(await seen()).toMatchObject({ requests: 70, errors: 20 });
  });
});
