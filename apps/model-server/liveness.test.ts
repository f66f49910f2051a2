import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { Client } from 'undici';

const root = fileURLToPath(new URL('../..', import.meta.url));
const built = (file: string): string => path.join(root, 'dist/apps/model-server', file);

let folder: string;
let socketPath: string;
let child: ChildProcess | undefined;

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'live-'));
  socketPath = path.join(folder, 'm.live');
});
afterEach(async () => {
  child?.kill('SIGKILL');
  await rm(folder, { recursive: true });
});

async function ask(method: 'GET' | 'POST' = 'GET', urlPath = '/v2/health/live') {
  const client = new Client('http://localhost', { socketPath });
  try {
    const answer = await client.request({ method, path: urlPath });
    return { status: answer.statusCode, body: (await answer.body.json()) as { live: boolean; reason?: string } };
  } finally {
    await client.close();
  }
}

/** A process whose serving thread stands still for ever, within a run or not. */
async function standingStill(
  limits: { silenceLimitMs: number; runLimitMs: number },
  isRunning: boolean,
): Promise<void> {
  const script = `
    import { startLiveness } from ${JSON.stringify(built('liveness.js'))};
    import { ProgressMark } from ${JSON.stringify(built('progress-mark.js'))};
    const mark = new ProgressMark();
    await startLiveness(mark, ${JSON.stringify({ socketPath, ...limits })});
    if (${isRunning}) mark.runBegins();
    process.send('standing still', () => { for (;;); });`;
  child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  await once(child, 'message');
}

it('says that a process lives while a run blocks its serving thread for longer than silence may last', async () => {
  await standingStill({ silenceLimitMs: 1, runLimitMs: 3_600_000 }, true);
  expect(await ask()).toEqual({ status: 200, body: { live: true } });
});

it('says that a run takes too long', async () => {
  await standingStill({ silenceLimitMs: 3_600_000, runLimitMs: 50 }, true);
  await vi.waitFor(async () =>
    expect(await ask()).toEqual({ status: 503, body: { live: false, reason: 'a run has taken longer than 0.05 s' } }),
  );
});

it('says that the event loop stands still with no run under way', async () => {
  await standingStill({ silenceLimitMs: 50, runLimitMs: 3_600_000 }, false);
  const reason = 'its event loop has stood still for longer than 0.05 s with no run under way';
  await vi.waitFor(async () => expect(await ask()).toEqual({ status: 503, body: { live: false, reason } }));
});

it('answers nothing else, at a socket that is its owner’s alone', async () => {
  await standingStill({ silenceLimitMs: 3_600_000, runLimitMs: 3_600_000 }, false);
  expect((await ask('POST')).status).toBe(404);
  expect((await ask('GET', '/v2')).status).toBe(404);
});

it('is answered by a model server in the middle of a run', async () => {
  const serving = path.join(folder, 'm.sock');
  child = spawn(process.execPath, [built('main.js')], {
    env: {
      SLUICE_MODEL_DIR: path.join(root, 'test/models/tone-slow'),
      SLUICE_SOCKET: serving,
      SLUICE_LIVENESS_SOCKET: socketPath,
    },
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  const [message] = (await once(child, 'message')) as [{ kind: string; livenessSocket: string }];
  expect(message).toMatchObject({ kind: 'ready', livenessSocket: socketPath });
  expect((await stat(socketPath)).mode & 0o777).toBe(0o600);
  const client = new Client('http://localhost', { socketPath: serving, pipelining: 5 });
  const progress = { isAnswered: false };
  const inputs = [{ name: 'text', datatype: 'BYTES', shape: [1], data: ['slow'] }];
  const runs = Array.from({ length: 5 }, () =>
    client.request({ method: 'POST', path: '/v2/models/tone/infer', body: JSON.stringify({ inputs }) }),
  );
  const answered = Promise.all(runs).then((answers) => {
    progress.isAnswered = true;
    return answers;
  });
  let during = 0;
  while (!progress.isAnswered) {
    expect((await ask()).status).toBe(200);
    if (!progress.isAnswered) during += 1;
  }
  for (const answer of await answered) {
    expect(answer.statusCode).toBe(200);
    await answer.body.dump();
  }
  await client.close();
  expect(during).toBeGreaterThan(1);
});
