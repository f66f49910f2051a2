// `npm run bench [-- infer|memory] [--short] [--requests=N]`: what Sluice reaches beside baselines that run in the same minute.
import { execFile, fork } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { fileURLToPath } from 'node:url';
import { SluiceInstance } from '../support/sluice-instance.ts';
import { ensureLoadClient, load, type LoadResult } from './load-client.ts';
import { memoryOf } from './process-memory.ts';

const run = promisify(execFile);
const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

const isShort = process.argv.includes('--short');
const wanted = process.argv.slice(2).find((argument) => !argument.startsWith('--')) ?? 'all';
const connections = 32;
const rounds = isShort ? 2 : 5;
const secondsPerRound = isShort ? 2 : 5;
const soakRequests = Number(
  process.argv.find((argument) => argument.startsWith('--requests='))?.split('=')[1] ?? (isShort ? 50_000 : 1_000_000),
);

const body = JSON.stringify({
  id: 'bench',
  inputs: [
    { name: 'x', datatype: 'FP32', shape: [1, 16], data: Array.from({ length: 16 }, (_, index) => (index - 8) / 10) },
  ],
});

const say = (text: string): void => void process.stdout.write(`${text}\n`);
const median = (values: number[]): number => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]!;
const count = (value: number): string => Math.round(value).toLocaleString('en-GB');

await ensureLoadClient();
await using sluice = await SluiceInstance.start();
await registerDense(sluice);
if (wanted === 'all' || wanted === 'infer') await benchInfer(sluice);
if (wanted === 'all' || wanted === 'memory') await benchMemory(sluice);

async function registerDense(instance: SluiceInstance): Promise<void> {
  await expectStatus(instance.call('POST', '/api/models', { path: here('../models/dense') }), [200, 201]);
  await expectStatus(instance.call('POST', '/api/endpoints', { name: 'dense', model: 'dense', version: '1' }), [201]);
  const deadline = performance.now() + 30_000;
  while ((await instance.call('GET', '/v2/models/dense/ready')).status !== 200) {
    if (performance.now() > deadline) throw new Error('the model dense did not become ready');
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

async function expectStatus(call: Promise<{ status: number; body: unknown }>, statuses: number[]): Promise<void> {
  const { status, body: answer } = await call;
  if (!statuses.includes(status)) throw new Error(`unexpected answer ${status}: ${JSON.stringify(answer)}`);
}

async function benchInfer(instance: SluiceInstance): Promise<void> {
  const bare = fork(here('./bare-fastify.mjs'));
  const [{ port }] = (await once(bare, 'message')) as [{ port: number }];
  const headers = { 'content-type': 'application/json', authorization: `Bearer ${await instance.adminKey()}` };
  const target = (base: string, seconds: number): Promise<LoadResult> =>
    load({ url: `${base}/v2/models/dense/infer`, headers, body, connections, seconds });
  await target(instance.base, secondsPerRound);
  await target(`http://127.0.0.1:${port}`, 1);

  // In turn, so that a slow minute of the machine slows both.
  const ours: LoadResult[] = [];
  const yardstick: LoadResult[] = [];
  for (let round = 0; round < rounds; round += 1) {
    yardstick.push(await target(`http://127.0.0.1:${port}`, secondsPerRound));
    ours.push(await target(instance.base, secondsPerRound));
  }
  const single = await load({
    url: `${instance.base}/v2/models/dense/infer`,
    headers,
    body,
    connections: 1,
    seconds: secondsPerRound,
  });
  bare.disconnect();
  const { stdout } = await run(process.execPath, [here('./raw-onnx.mjs'), isShort ? '1' : '3']);
  const raw = JSON.parse(stdout) as { batch1: number; batch32: number };

  const rate = (results: LoadResult[]): number => median(results.map((result) => result.requestsPerSecond));
  const ratios = ours.map((result, index) => result.requestsPerSecond / yardstick[index]!.requestsPerSecond);
  say(`\ninfer, dense 16-64-3, JSON, ${connections} connections, median of ${rounds} rounds of ${secondsPerRound} s`);
  say(
    `  Sluice, whole pipeline     ${count(rate(ours))} requests/s   p50 ${median(ours.map((r) => r.p50Ms)).toFixed(2)} ms   p99 ${median(ours.map((r) => r.p99Ms)).toFixed(2)} ms`,
  );
  say(
    `  bare Fastify, same JSON    ${count(rate(yardstick))} requests/s   p50 ${median(yardstick.map((r) => r.p50Ms)).toFixed(2)} ms   p99 ${median(yardstick.map((r) => r.p99Ms)).toFixed(2)} ms`,
  );
  say(
    `  one connection, Sluice     ${count(single.requestsPerSecond)} requests/s   p50 ${single.p50Ms.toFixed(2)} ms   p99 ${single.p99Ms.toFixed(2)} ms`,
  );
  say(`  onnxruntime-node, batch 1  ${count(raw.batch1)} rows/s`);
  say(`  onnxruntime-node, batch 32 ${count(raw.batch32)} rows/s`);
  say(
    `  ratio to bare Fastify      ${median(ratios).toFixed(2)}   (rounds: ${ratios.map((ratio) => ratio.toFixed(2)).join(' ')})`,
  );
  say(`  ratio to batch 1           ${(rate(ours) / raw.batch1).toFixed(2)}`);
  say(`  ratio to batch 32          ${(rate(ours) / raw.batch32).toFixed(3)}`);
  say(`  failures                   ${ours.reduce((sum, result) => sum + result.failures, 0)}`);
}

async function benchMemory(instance: SluiceInstance): Promise<void> {
  const idle = await memoryOf(instance.launcher.pid!);
  say('\nmemory (proportional set size, MiB), idle');
  for (const [name, mebibytes] of idle.rows) say(`  ${name.padEnd(28)} ${mebibytes.toFixed(0)}`);
  say(`  ${'all'.padEnd(28)} ${idle.sum.toFixed(0)}`);

  const [api] = await instance.pids('api');
  const headers = { 'content-type': 'application/json', authorization: `Bearer ${await instance.adminKey()}` };
  say(`\nresident memory of the API process over ${count(soakRequests)} requests (MiB)`);
  let done = 0;
  while (done < soakRequests) {
    const result = await load({
      url: `${instance.base}/v2/models/dense/infer`,
      headers,
      body,
      connections,
      seconds: isShort ? 2 : 10,
    });
    if (result.failures > 0) throw new Error(`${result.failures} requests failed`);
    done += result.requests;
    say(`  after ${count(done).padStart(9)} requests   ${(await residentOf(api!)).toFixed(0)}`);
  }
}

async function residentOf(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1_024;
}
