import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { TemporalServer } from '#libs/platform';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { SluiceInstance } from '../support/sluice-instance.js';
import { startTemporal } from '../support/temporal.js';
import { Traffic, variedText, type Tally } from '../support/traffic.js';

const models = fileURLToPath(new URL('../models/', import.meta.url));
const requestsPerSecond = 300;
const rolloutDeadlineMs = 90_000;

let folder: string;
let temporal: TemporalServer;
let sluice: SluiceInstance;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-temporal-'));
  // Temporal belongs to this test, so that it can be stopped and started on its own.
  temporal = await startTemporal(join(folder, 'temporal.db'));
  sluice = await SluiceInstance.start({ env: { TEMPORAL_ADDRESS: temporal.address } });
  for (const name of ['tone-broken', 'tone-slow']) {
    expect((await sluice.call('POST', '/api/models', { path: join(models, name) })).status).toBe(201);
  }
});

afterAll(async () => {
  await sluice?.[Symbol.asyncDispose]();
  await temporal?.stop();
  await rm(folder, { recursive: true, force: true });
});

it('promotes a good candidate to all of the traffic, and no request fails on the way', async () => {
  await using live = await steadyTraffic();
  const rollout = await startRollout('2', [
    { weight: 5, minRequests: 50 },
    { weight: 25, minRequests: 100 },
    { weight: 50, minRequests: 100 },
  ]);
  const ended = await waitForEnd(rollout.id);
  expect(ended.phase, JSON.stringify(ended)).toBe('promoted');
  await live.seen((tally) => (tally.byVersion['2'] ?? 0) > 500);
  const tally = await live.stop();
  expect(tally.byStatus, tally.failures.join('\n')).toEqual({ 200: tally.sent });
  expect(tally.byVersion['1']! + tally.byVersion['2']!).toBe(tally.sent);

  const endpoint = await sluice.call('GET', '/api/endpoints/tone');
  expect(endpoint.body.route.arms).toEqual([{ name: 'stable', version: '2', weight: 100 }]);
  // Every step was a revision of its own, and each names its rollout.
  const history = (await sluice.call('GET', '/api/endpoints/tone/history')).body;
  const revisions: { arms: { name: string; weight: number }[]; rolloutId: string | null }[] =
    history.routes ?? history.items ?? history;
  const weights = revisions
    .filter((route) => route.rolloutId === rollout.id)
    .map((route) => route.arms.find((arm) => arm.name === 'candidate')?.weight ?? 0);
  expect(weights.toReversed()).toEqual([5, 25, 50, 0]);
  await expectNoReplicaOf('1');
  await rollBackTo('1');
});

it('throws a broken candidate out at its first step, before two requests in a hundred have met it', async () => {
  await using live = await steadyTraffic();
  await live.seen((tally) => tally.sent > 2_500);
  const rollout = await startRollout('3', [
    { weight: 5, minRequests: 2_000 },
    { weight: 50, minRequests: 2_000 },
  ]);
  const ended = await waitForEnd(rollout.id);
  expect(ended.phase, JSON.stringify(ended)).toBe('rolled-back');
  expect(ended.stepIndex).toBe(0);
  expect(ended.reason).toMatch(/error/i);
  const sentByThen = live.tally.sent;
  await live.seen((tally) => tally.sent > sentByThen + 2_500);
  const tally = await live.stop();
  const met = tally.byVersion['3'] ?? 0;
  expect(met).toBeGreaterThan(0);
  expect(met / tally.sent).toBeLessThan(0.02);
  expect(Object.keys(tally.byStatus).sort()).toEqual(['200', '500']);
  // Only what the broken version itself could not answer has failed.
  expect(tally.byStatus[500]!).toBeLessThan(met);
  await expectNoReplicaOf('3');
});

it('throws a slow candidate out for its latency', async () => {
  await using live = await steadyTraffic();
  const rollout = await startRollout('4', [{ weight: 5, minRequests: 2_000 }]);
  const ended = await waitForEnd(rollout.id);
  expect(ended.phase, JSON.stringify(ended)).toBe('rolled-back');
  expect(ended.reason).toMatch(/p95|latency/i);
  const tally = await live.stop();
  expect(tally.byStatus, tally.failures.join('\n')).toEqual({ 200: tally.sent });
});

it('ends a rollout as it should although the worker is killed in the middle of it', async () => {
  await using live = await steadyTraffic();
  const rollout = await startRollout('2', [
    { weight: 10, minRequests: 400 },
    { weight: 50, minRequests: 200 },
  ]);
  await waitFor(async () => (await view(rollout.id)).weight === 10);
  const [worker] = await sluice.pids('worker');
  process.kill(worker!, 'SIGKILL');
  await waitFor(async () => {
    const [other] = await sluice.pids('worker');
    return other !== undefined && other !== worker;
  });
  const ended = await waitForEnd(rollout.id);
  expect(ended.phase, JSON.stringify(ended)).toBe('promoted');
  const tally = await live.stop();
  expect(tally.byStatus, tally.failures.join('\n')).toEqual({ 200: tally.sent });
  await rollBackTo('1');
});

it('serves without one failure while Temporal is away for 10 s, and the rollout goes on afterwards', async () => {
  await using live = await steadyTraffic();
  const rollout = await startRollout('2', [
    { weight: 10, minRequests: 1_200 },
    { weight: 50, minRequests: 100 },
  ]);
  await waitFor(async () => (await view(rollout.id)).weight === 10);
  const port = Number(temporal.address.split(':')[1]);
  await temporal.stop();
  await sleep(10_000);
  // What people ask for meanwhile is refused by name, and reading still works.
  const refused = await sluice.call('POST', `/api/rollouts/${rollout.id}/pause`, { reason: 'to see' });
  expect(refused.status, JSON.stringify(refused.body)).toBe(503);
  expect(refused.headers.get('retry-after')).toMatch(/^\d+$/);
  expect((await view(rollout.id)).weight).toBe(10);
  temporal = await startTemporal(join(folder, 'temporal.db'), port);
  const ended = await waitForEnd(rollout.id);
  expect(ended.phase, JSON.stringify(ended)).toBe('promoted');
  const tally = await live.stop();
  expect(tally.byStatus, tally.failures.join('\n')).toEqual({ 200: tally.sent });
  await rollBackTo('1');
});

it('loses no request when a model server is killed under load', async () => {
  await using live = await steadyTraffic();
  for (let kills = 0; kills < 3; kills += 1) {
    const before = live.tally.sent;
    await live.seen((tally) => tally.sent > before + 300);
    const [server] = await sluice.pids('model-server');
    process.kill(server!, 'SIGKILL');
    await waitFor(async () => (await livingReplicas()).every((row) => row.state === 'ready' && row.pid !== server));
  }
  const tally = await live.stop();
  expect(tally.byStatus, tally.failures.join('\n')).toEqual({ 200: tally.sent });
});

it('pauses, resumes and aborts as people ask, and refuses what makes no sense, with the reason', async () => {
  await using live = await steadyTraffic();
  const rollout = await startRollout('2', [{ weight: 5, minRequests: 100_000 }]);
  await waitFor(async () => (await view(rollout.id)).weight === 5);
  const second = await sluice.call('POST', '/api/rollouts', { endpoint: 'tone', candidate: '2', strategy: 'canary' });
  expect(second.status).toBe(409);
  expect(second.body.code).toBe('SLU_ENDPOINT_HELD');
  expect((await command(rollout.id, 'pause')).body.phase).toBe('paused');
  expect((await command(rollout.id, 'pause')).status).toBe(409);
  expect((await command(rollout.id, 'approve')).status).toBe(409);
  expect((await command(rollout.id, 'resume')).body.phase).toBe('stepping');
  const aborted = await command(rollout.id, 'abort');
  expect(aborted.status).toBe(200);
  const ended = await waitForEnd(rollout.id);
  expect(ended.phase).toBe('aborted');
  expect((await command(rollout.id, 'resume')).status).toBe(409);
  const tally = await live.stop();
  expect(tally.byStatus, tally.failures.join('\n')).toEqual({ 200: tally.sent });
});

it('keeps a caller with the version that their key drew, and moves nobody back when the share grows', async () => {
  const keys = Array.from({ length: 300 }, (_, index) => `person-${index}`);
  const versionsOf = async (): Promise<string[]> => Promise.all(keys.map((key) => versionFor(key)));
  const rollout = await startRollout('2', [
    { weight: 10, minRequests: 30, approval: true },
    { weight: 50, minRequests: 100_000 },
  ]);
  await waitFor(async () => (await view(rollout.id)).weight === 10);
  const atTen = await versionsOf();
  expect(await versionsOf()).toEqual(atTen);
  const share = atTen.filter((version) => version === '2').length / keys.length;
  expect(share).toBeGreaterThan(0.03);
  expect(share).toBeLessThan(0.2);
  await waitFor(async () => {
    await versionsOf();
    return (await view(rollout.id)).phase === 'awaiting-approval';
  });
  expect((await command(rollout.id, 'approve')).status).toBe(200);
  await waitFor(async () => (await view(rollout.id)).weight === 50);
  const atFifty = await versionsOf();
  expect(atTen.every((version, index) => version === '1' || atFifty[index] === '2')).toBe(true);
  await command(rollout.id, 'abort');
  await waitForEnd(rollout.id);
});

it.runIf(existsSync('/proc'))('has the models, not the callers, in the list of processes', async () => {
  const key = await sluice.adminKey();
  const { readFile, readdir } = await import('node:fs/promises');
  for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
    const commandLine = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
    expect(commandLine.includes(key)).toBe(false);
  }
});

interface RolloutAnswer {
  id: string;
  phase: string;
  weight: number;
  stepIndex: number;
  reason: string | null;
  endedAt: string | null;
}

async function startRollout(candidate: string, steps: object[]): Promise<RolloutAnswer> {
  const answer = await sluice.call('POST', '/api/rollouts', { endpoint: 'tone', candidate, strategy: 'canary', steps });
  expect([201, 202], JSON.stringify(answer.body)).toContain(answer.status);
  return answer.body as RolloutAnswer;
}

async function view(id: string): Promise<RolloutAnswer> {
  const answer = await sluice.call('GET', `/api/rollouts/${id}`);
  expect(answer.status, JSON.stringify(answer.body)).toBe(200);
  return answer.body as RolloutAnswer;
}

const command = (id: string, name: string): ReturnType<SluiceInstance['call']> =>
  sluice.call('POST', `/api/rollouts/${id}/${name}`, { reason: 'a test asks' });

async function waitForEnd(id: string): Promise<RolloutAnswer> {
  await waitFor(async () => (await view(id)).endedAt !== null, rolloutDeadlineMs);
  return view(id);
}

async function waitFor(isTrue: () => Promise<boolean>, deadlineMs = 45_000): Promise<void> {
  const deadline = performance.now() + deadlineMs;
  while (!(await isTrue())) {
    if (performance.now() > deadline) throw new Error(`waited ${deadlineMs} ms in vain for ${isTrue.toString()}`);
    await sleep(100);
  }
}

interface LiveTraffic extends AsyncDisposable {
  tally: Tally;
  seen(isTrue: (tally: Tally) => boolean): Promise<void>;
  stop(): Promise<Tally>;
}

async function steadyTraffic(): Promise<LiveTraffic> {
  const traffic = new Traffic({
    base: sluice.base,
    endpoint: 'tone',
    key: await sluice.adminKey(),
    requestsPerSecond,
    text: variedText,
  });
  return {
    tally: traffic.tally,
    seen: async (isTrue) => waitFor(async () => isTrue(traffic.tally)),
    stop: () => traffic.stop(),
    [Symbol.asyncDispose]: async () => void (await traffic.stop()),
  };
}

async function versionFor(stickyKey: string): Promise<string> {
  const response = await fetch(`${sluice.base}/v2/models/tone/infer`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${await sluice.adminKey()}`,
      'content-type': 'application/json',
      'sluice-sticky-key': stickyKey,
    },
    body: JSON.stringify({ inputs: [{ name: 'text', datatype: 'BYTES', shape: [1], data: ['hello there'] }] }),
  });
  await response.text();
  expect(response.status).toBe(200);
  return response.headers.get('sluice-model-version') ?? '';
}

async function rollBackTo(version: string): Promise<void> {
  const answer = await sluice.call('POST', '/api/endpoints/tone/rollback', {});
  expect(answer.status, JSON.stringify(answer.body)).toBe(200);
  const endpoint = await sluice.call('GET', '/api/endpoints/tone');
  // A rollback goes to the version that was live before, however many steps the rollout took.
  expect(endpoint.body.route.arms).toEqual([{ name: 'stable', version, weight: 100 }]);
}

async function expectNoReplicaOf(version: string): Promise<void> {
  await waitFor(async () => (await livingReplicas()).every((replica) => replica.version !== version));
}

async function livingReplicas(): Promise<{ version: string; state: string; pid: number }[]> {
  const { body } = await sluice.call('GET', '/api/replicas');
  const rows: { version: string; state: string; pid: number }[] = body.replicas;
  return rows.filter((row) => ['starting', 'ready', 'draining'].includes(row.state));
}
