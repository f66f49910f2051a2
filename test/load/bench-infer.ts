import { execFile, fork } from 'node:child_process';
import { once } from 'node:events';
import { promisify } from 'node:util';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { SluiceInstance } from '../support/sluice-instance.ts';
import {
  binaryRequest,
  inputWidth,
  jsonRequest,
  modelFolder,
  offerModel,
  shapeOf,
  type BenchModel,
} from './bench-models.ts';
import type { BenchOptions } from './bench-options.ts';
import { count, median, say, sayRate, summaryOf } from './bench-report.ts';
import { load, type LoadResult } from './load-client.ts';

const run = promisify(execFile);
const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));
const connections = 32;
const jsonHeaders = { 'content-type': 'application/json' };

/** The whole pipeline beside a bare route that parses and answers the same JSON, for a small and a larger model. */
export async function benchInfer(sluice: SluiceInstance, options: BenchOptions): Promise<void> {
  await offerModel(sluice, 'wide');
  for (const model of ['dense', 'wide'] as const) await benchModel(sluice, model, options);
  const { stdout } = await run(process.execPath, [here('./raw-onnx.mjs'), options.isShort ? '1' : '3']);
  const raw = JSON.parse(stdout) as { batch1: number; batch32: number };
  say(`\nonnxruntime-node alone, dense ${shapeOf.dense}`);
  say(`  batch 1  ${count(raw.batch1)} rows/s`);
  say(`  batch 32 ${count(raw.batch32)} rows/s`);
}

async function benchModel(sluice: SluiceInstance, model: BenchModel, options: BenchOptions): Promise<void> {
  const { rounds, secondsPerRound: seconds } = options;
  const bare = await startRoute('./bare-fastify.mjs');
  const plain = await startRoute('./bare-batching.mjs', [
    join(await modelFolder(model), 'model.onnx'),
    String(inputWidth[model]),
  ]);
  const body = jsonRequest(model);
  const binary = binaryRequest(model);
  const key = { authorization: `Bearer ${await sluice.adminKey()}` };
  const url = `${sluice.base}/v2/models/${model}/infer`;
  const json = { url, headers: { ...jsonHeaders, ...key }, body };
  const inBinary = {
    url,
    headers: {
      'content-type': 'application/octet-stream',
      'inference-header-content-length': String(binary.headerLength),
      ...key,
    },
    body: binary.body,
  };
  const bareRoute = { url: bare.url, headers: jsonHeaders, body };
  const plainRoute = { ...bareRoute, url: plain.url };
  for (const warm of [json, inBinary]) await load({ ...warm, connections, seconds });
  for (const warm of [bareRoute, plainRoute]) await load({ ...warm, connections, seconds: 1 });

  // In turn, so that a slow minute of the machine slows all of them.
  const [yardsticks, plains, jsons, binaries]: LoadResult[][] = [[], [], [], []];
  for (let round = 0; round < rounds; round += 1) {
    yardsticks!.push(await load({ ...bareRoute, connections, seconds }));
    plains!.push(await load({ ...plainRoute, connections, seconds }));
    jsons!.push(await load({ ...json, connections, seconds }));
    binaries!.push(await load({ ...inBinary, connections, seconds }));
  }
  const delay = await eventLoopDelay(sluice);
  const single = await load({ ...json, connections: 1, seconds });
  bare.stop();
  plain.stop();

  say(`\ninfer, ${model} ${shapeOf[model]}, ${connections} connections, median of ${rounds} rounds of ${seconds} s`);
  sayRate('Sluice, JSON', summaryOf(jsons!));
  sayRate('Sluice, binary tensors', summaryOf(binaries!));
  sayRate('bare Fastify, same JSON', summaryOf(yardsticks!));
  sayRate('bare Fastify, batching worker', summaryOf(plains!));
  sayRate('Sluice, JSON, one connection', single);
  sayRatio('JSON to bare Fastify', jsons!, yardsticks!);
  sayRatio('JSON to batching worker', jsons!, plains!);
  sayRatio('binary to JSON', binaries!, jsons!);
  say(`  ${'event loop of the API, p99'.padEnd(30)} ${(delay * 1_000).toFixed(1).padStart(8)} ms late`);
}

async function startRoute(script: string, args: string[] = []): Promise<{ url: string; stop: () => void }> {
  const child = fork(here(script), args);
  const [{ port }] = (await once(child, 'message')) as [{ port: number }];
  return { url: `http://127.0.0.1:${port}/v2/models/dense/infer`, stop: () => child.disconnect() };
}

/** 99th percentile over the last whole ten seconds, in seconds, as the API itself sees it. */
async function eventLoopDelay(sluice: SluiceInstance): Promise<number> {
  const { body } = await sluice.call('GET', '/metrics');
  const isWanted = (line: string): boolean =>
    line.startsWith('sluice_platform_event_loop_delay_seconds') && line.includes('quantile="0.99"');
  return Number((body as string).split('\n').find(isWanted)?.split(' ').at(-1));
}

function sayRatio(name: string, ones: readonly LoadResult[], others: readonly LoadResult[]): void {
  const ratios = ones.map((one, index) => one.requestsPerSecond / others[index]!.requestsPerSecond);
  const each = ratios.map((ratio) => ratio.toFixed(2)).join(' ');
  say(`  ${name.padEnd(30)} ${median(ratios).toFixed(2).padStart(8)}   (rounds: ${each})`);
}
