import { readdir, readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { SluiceInstance } from '../support/sluice-instance.js';
import { Traffic, variedText } from '../support/traffic.js';

type Victim = 'worker' | 'api' | 'model-server' | 'postgres';

interface RolloutAnswer {
  id: string;
  phase: string;
  weight: number;
  endedAt: string | null;
}

interface RouteAnswer {
  arms: { name: string; version: string; weight: number }[];
  rolloutId: string | null;
}

const requestsPerSecond = 150;
const weights = [5, 25, 50];

/** At what the rollout is when the process dies. Each is killed without a warning; the launcher starts it again. */
const kills: readonly { at: string; isThen: (rollout: RolloutAnswer) => boolean; victim: Victim }[] = [
  { at: 'preparing', isThen: ({ phase }) => phase === 'preparing', victim: 'worker' },
  { at: '5 %', isThen: ({ weight }) => weight === 5, victim: 'postgres' },
  { at: '25 %', isThen: ({ weight }) => weight === 25, victim: 'api' },
  { at: '50 %', isThen: ({ weight }) => weight === 50, victim: 'model-server' },
  { at: 'the end', isThen: ({ phase }) => ['promoting', 'draining'].includes(phase), victim: 'worker' },
];

let sluice: SluiceInstance;

beforeAll(async () => {
  sluice = await SluiceInstance.start();
});

afterAll(async () => {
  await sluice?.[Symbol.asyncDispose]();
});

it(
  'promotes step by step although a process is killed at every phase of the rollout',
  { timeout: 150_000 },
  async () => {
    const key = await sluice.adminKey();
    const traffic = new Traffic({ base: sluice.base, endpoint: 'tone', key, requestsPerSecond, text: variedText });
    try {
      // Two replicas, for a candidate whose only one dies is rightly found too slow.
      const steps = weights.map((weight) => ({ weight, minRequests: 30, minSeconds: 2 }));
      const ask = { endpoint: 'tone', candidate: '2', strategy: 'canary', steps, replicas: 2, drainSeconds: 2 };
      const started = await sluice.call('POST', '/api/rollouts', ask);
      expect([201, 202], JSON.stringify(started.body)).toContain(started.status);
      const { id } = started.body as RolloutAnswer;
      for (const { at, isThen, victim } of kills) {
        await waitFor(`the rollout being at ${at}`, async () => isThen(await view(id)));
        await killAndWait(victim);
      }
      await waitFor('the end of the rollout', async () => (await view(id)).endedAt !== null);
      const ended = await view(id);
      expect(ended, JSON.stringify(ended, undefined, 1)).toMatchObject({ phase: 'promoted', weight: 100 });
      await expectEachStepOnce(id);
      await waitFor('the end of the losing replicas', async () =>
        (await livingReplicas()).every(({ version }) => version === '2'),
      );
      expect((await livingReplicas()).some(({ state }) => state === 'ready')).toBe(true);
    } finally {
      const tally = await traffic.stop();
      expect(tally.withoutRetryAfter, tally.failures.join('\n')).toBe(0);
      // 0: the connection failed, as it must while the API is dead. 503 tells when to come back.
      expect(
        Object.keys(tally.byStatus).filter((status) => !['0', '200', '503'].includes(status)),
        tally.failures.join('\n'),
      ).toEqual([]);
      expect(tally.byStatus[200]!).toBeGreaterThan(tally.sent * 0.8);
    }
  },
);

async function expectEachStepOnce(id: string): Promise<void> {
  const endpoint = await sluice.call('GET', '/api/endpoints/tone');
  expect(endpoint.body.route.arms).toEqual([{ name: 'stable', version: '2', weight: 100 }]);
  expect(endpoint.body.rolloutId ?? null).toBeNull();
  const { body } = await sluice.call('GET', '/api/endpoints/tone/history');
  const routes = (body.routes ?? body.items ?? body) as RouteAnswer[];
  const shares = routes
    .filter((route) => route.rolloutId === id)
    .map(({ arms }) => arms.find(({ version }) => version === '2')?.weight ?? 0);
  expect(shares.toReversed()).toEqual([...weights, 100]);
}

async function killAndWait(victim: Victim): Promise<void> {
  const before = await pidsOf(victim);
  const pid = before.at(-1);
  if (pid === undefined) throw new Error(`there is no ${victim} to kill`);
  process.kill(pid, 'SIGKILL');
  await waitFor(`another ${victim}`, async () => (await pidsOf(victim)).some((other) => !before.includes(other)));
}

async function pidsOf(victim: Victim): Promise<number[]> {
  if (victim !== 'postgres') return sluice.pids(victim);
  const found: number[] = [];
  for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number)) {
    const commandLine = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
    if (commandLine.includes(`${sluice.home}/postgres/data`) && /(^|\/)postgres\0/.test(commandLine)) found.push(pid);
  }
  return found;
}

/** While a process is away, questions fail; they are asked again. */
async function view(id: string): Promise<RolloutAnswer> {
  for (;;) {
    const answer = await sluice.call('GET', `/api/rollouts/${id}`).catch(() => undefined);
    if (answer?.status === 200) return answer.body as RolloutAnswer;
    await sleep(50);
  }
}

async function livingReplicas(): Promise<{ version: string; state: string }[]> {
  const { body } = await sluice.call('GET', '/api/replicas');
  const rows = body.replicas as { version: string; state: string }[];
  return rows.filter(({ state }) => ['starting', 'ready', 'draining'].includes(state));
}

async function waitFor(what: string, isTrue: () => Promise<boolean>, deadlineMs = 40_000): Promise<void> {
  const deadline = performance.now() + deadlineMs;
  while (!(await isTrue())) {
    if (performance.now() > deadline) throw new Error(`waited ${deadlineMs} ms in vain for ${what}`);
    await sleep(50);
  }
}
