import { Endpoints, ReplicaSets } from '#libs/inference';
import { RolloutLedger, Rollouts, RolloutWorkflows, TemporalLink, type RolloutDetailView } from '#libs/control';
import { freePort, type TemporalServer } from '#libs/platform';
import { fork, type ChildProcess } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freshDatabase, type FreshDatabase } from '../support/database.js';
import { startTemporal } from '../support/temporal.js';

const workerFile = fileURLToPath(new URL('../../dist/apps/worker/main.js', import.meta.url));

/** The API and the supervisor, as far as a rollout notices them: replicas become ready, and requests are counted. */
class PretendedTraffic implements AsyncDisposable {
  /** Share of the candidate's requests that fail. */
  candidateErrorShare = 0;
  /** Per second, over all arms. */
  requestsPerSecond = 400;
  private isOver = false;
  private readonly running: Promise<void>;

  constructor(private readonly db: FreshDatabase) {
    this.running = this.run();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.isOver = true;
    await this.running;
  }

  private async run(): Promise<void> {
    const processId = randomUUID();
    while (!this.isOver) {
      await this.second(processId).catch(() => undefined);
      await pause(250);
    }
  }

  private async second(processId: string): Promise<void> {
    await this.db.database.query(
      `INSERT INTO replicas (id, model, version, host, address, state, ready_at)
       SELECT gen_random_uuid(), s.model, s.version, 'test', 'unix:/none', 'ready', now() FROM replica_sets s
        WHERE s.desired > 0 AND NOT EXISTS (SELECT 1 FROM replicas r WHERE r.version = s.version AND r.ended_at IS NULL)`,
    );
    await this.db.database.query(
      `INSERT INTO outcome_counters
       SELECT $1, e.name, e.revision, arm->>'name', arm->>'version', date_trunc('second', now()), n, errors, jsonb_build_object('180', n)
         FROM endpoints e JOIN routes r ON r.endpoint = e.name AND r.revision = e.revision, jsonb_array_elements(r.arms) arm,
              LATERAL (SELECT ($2 * (arm->>'weight')::float / 100)::int AS n) c,
              LATERAL (SELECT CASE arm->>'name' WHEN 'candidate' THEN (n * $3::float)::int ELSE 0 END AS errors) f
        WHERE n > 0
       ON CONFLICT DO NOTHING`,
      [processId, this.requestsPerSecond, this.candidateErrorShare],
    );
  }
}

describe('a worker process', () => {
  let db: FreshDatabase;
  let folder: string;
  let port: number;
  let temporal: TemporalServer;
  let link: TemporalLink;
  let rollouts: Rollouts;
  let worker: ChildProcess;
  let traffic: PretendedTraffic;

  async function startWorker(): Promise<void> {
    worker = fork(workerFile, [], {
      env: {
        ...process.env,
        DATABASE_URL: db.url,
        TEMPORAL_ADDRESS: `127.0.0.1:${port}`,
        SLUICE_LOG_LEVEL: 'error',
        SLUICE_HOME: folder,
        SLUICE_MASTER_KEY: '07'.repeat(32),
      },
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    const [message] = (await once(worker, 'message')) as [{ kind: string }];
    expect(message.kind).toBe('ready');
  }

  async function until(id: string, isTrue: (view: RolloutDetailView) => boolean): Promise<RolloutDetailView> {
    for (;;) {
      const view = await rollouts.get(id).catch(() => undefined);
      if (view !== undefined && isTrue(view)) return view;
      await pause(50);
    }
  }

  const hasEnded = (view: RolloutDetailView): boolean => view.endedAt !== null;
  const routesOf = async (id: string): Promise<number[]> =>
    (
      await db.database.query<{ arms: { version: string; weight: number }[] }>(
        `SELECT arms FROM routes WHERE rollout_id = $1 ORDER BY revision`,
        [id],
      )
    ).map(({ arms }) => arms.find((arm) => arm.version === '2')?.weight ?? 0);
  const steps = [5, 25, 50].map((weight) => ({ weight, minRequests: 50 }));

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'sluice-worker-'));
    port = await freePort();
    [db, temporal] = await Promise.all([freshDatabase(), startTemporal(join(folder, 'temporal.db'), port)]);
    for (const version of ['1', '2']) {
      await db.database.query(
        `INSERT INTO model_versions (model, version, format, manifest, content_digest, artifact_path, state, registered_by)
         VALUES ('tone', $1, 'onnx', '{}', $1, '/none', 'registered', 'test')`,
        [version],
      );
    }
    const endpoints = new Endpoints(db.database, new ReplicaSets(db.database));
    await endpoints.create({ name: 'tone', model: 'tone', version: '1', actor: 'test' });
    link = new TemporalLink({ address: `127.0.0.1:${port}`, namespace: 'default' });
    const ledger = new RolloutLedger(db.database, endpoints);
    rollouts = new Rollouts({ database: db.database, endpoints, ledger, workflows: new RolloutWorkflows(link) });
    traffic = new PretendedTraffic(db);
    await startWorker();
  });

  afterAll(async () => {
    worker.kill('SIGKILL');
    await link[Symbol.asyncDispose]();
    await traffic[Symbol.asyncDispose]();
    await temporal.stop();
    await db[Symbol.asyncDispose]();
    await rm(folder, { recursive: true, force: true });
  });

  it('rolls a failing candidate back at its first step within a few seconds, and tells why', async () => {
    traffic.candidateErrorShare = 0.2;
    const { id } = await rollouts.start({ endpoint: 'tone', candidate: '2', steps, drainSeconds: 0 }, 'key:test');
    const view = await until(id, hasEnded);
    traffic.candidateErrorShare = 0;
    expect(view).toMatchObject({
      phase: 'rolled-back',
      weight: 0,
      reason: expect.stringContaining('errors: candidate 20 %') as string,
    });
    expect(await routesOf(id)).toEqual([5, 0]);
    expect(view.events.map((event) => event.kind)).toEqual([
      'requested',
      'phase',
      'phase',
      'route',
      'verdict',
      'phase',
      'route',
      'phase',
      'ended',
    ]);
  });

  it('acts on an abort within a second, and refuses what is not legal', async () => {
    traffic.requestsPerSecond = 20;
    const { id } = await rollouts.start({ endpoint: 'tone', candidate: '2', steps, drainSeconds: 0 }, 'key:test');
    await until(id, (view) => view.weight === 5);
    await expect(rollouts.command(id, 'approve', { actor: 'key:test' })).rejects.toMatchObject({
      code: 'SLU_ROLLOUT_REFUSED',
    });
    expect(await rollouts.command(id, 'pause', { actor: 'key:test' })).toMatchObject({
      phase: 'paused',
      commands: ['resume', 'promote', 'abort'],
    });
    await rollouts.command(id, 'resume', { actor: 'key:test' });
    const beganMs = performance.now();
    await rollouts.command(id, 'abort', { actor: 'key:test', reason: 'changed my mind', requestId: 'r-1' });
    await until(id, (view) => view.weight === 0);
    expect(performance.now() - beganMs).toBeLessThan(1_000);
    expect(await until(id, hasEnded)).toMatchObject({ phase: 'aborted', reason: 'changed my mind' });
    const audits = await db.database.query(
      `SELECT action, actor, request_id FROM audit_events WHERE action = 'rollout.abort'`,
    );
    expect(audits).toEqual([{ action: 'rollout.abort', actor: 'key:test', request_id: 'r-1' }]);
    traffic.requestsPerSecond = 400;
  });

  it('goes on where it was after SIGKILL, after Temporal and after PostgreSQL were away, with no step twice', async () => {
    traffic.requestsPerSecond = 60;
    const slow = steps.map((step) => ({ ...step, minSeconds: 2 }));
    const { id } = await rollouts.start({ endpoint: 'tone', candidate: '2', steps: slow, drainSeconds: 0 }, 'key:test');

    await until(id, (view) => view.weight === 5);
    worker.kill('SIGKILL');
    await once(worker, 'exit');
    await startWorker();

    await until(id, (view) => view.weight === 25);
    await temporal.stop();
    // Reading a rollout does not need Temporal; steering it does, and says so soon.
    expect(await rollouts.get(id)).toMatchObject({ phase: 'stepping' });
    await expect(rollouts.command(id, 'pause', { actor: 'key:test' })).rejects.toMatchObject({ status: 503 });
    temporal = await startTemporal(join(folder, 'temporal.db'), port);

    await until(id, (view) => view.weight === 50);
    await db.takeAway();
    await pause(1_000);
    await db.giveBack();

    expect(await until(id, hasEnded)).toMatchObject({ phase: 'promoted', weight: 100 });
    expect(await routesOf(id)).toEqual([5, 25, 50, 100]);
    expect(worker.exitCode).toBeNull();
  });

  it('gives stable its traffic back when somebody terminates the workflow', async () => {
    traffic.requestsPerSecond = 20;
    // The rollout before has promoted version 2.
    const back = await rollouts.start({ endpoint: 'tone', candidate: '1', steps, drainSeconds: 0 }, 'key:test');
    await until(back.id, (view) => view.weight === 5);
    await link.call(5_000, (client) => client.workflow.getHandle(`rollout:${back.id}`).terminate('by mistake'));
    const ended = await until(back.id, hasEnded);
    expect(ended).toMatchObject({ phase: 'failed', weight: 0, reason: expect.stringContaining('outside') as string });
    const routes = await db.database.query<{ arms: unknown }>(
      `SELECT arms FROM routes WHERE rollout_id = $1 ORDER BY revision`,
      [back.id],
    );
    expect(routes.at(-1)?.arms).toEqual([{ name: 'stable', version: '2', weight: 100 }]);
    expect(await db.database.query(`SELECT desired FROM replica_sets WHERE version = '1'`)).toEqual([{ desired: 0 }]);
  });

  it('ends by itself on SIGTERM', async () => {
    worker.kill('SIGTERM');
    expect(await once(worker, 'exit')).toEqual([0, null]);
  });
});
