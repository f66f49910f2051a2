// Tokens per second of the language server beside node-llama-cpp alone, in rounds that alternate, so that what else the
// machine does meets both: `node deploy/boot/run.mjs test/load/language.ts [rounds] [threads]`.
import { LlamaLogLevel, type LlamaModel, type Token, getLlama } from 'node-llama-cpp';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fetchSmolLm2 } from '#libs/platform';
import { LanguageServer } from '../support/language-server.ts';
import { toolsFolder } from '../support/temporal.ts';

const [rounds = 5, threads = 1] = process.argv.slice(2).map(Number);
const tokens = 128;
const prompt = 'Once upon a time, in a land far away, there lived';

const folder = await fetchSmolLm2(toolsFolder);
const weights = join(
  folder,
  (await readdir(folder)).find((name) => name.endsWith('.gguf'))!,
);
const llama = await getLlama({
  gpu: false,
  build: 'never',
  skipDownload: true,
  logLevel: LlamaLogLevel.disabled,
  maxThreads: threads,
});
const model = await llama.loadModel({ modelPath: weights });

await using server = await LanguageServer.start({
  manifest: { language: { contextTokens: 512, sequences: 8 } },
  env: { SLUICE_THREADS: String(threads) },
});

/** @returns tokens per second over all streams */
async function timed(streams: number, one: () => Promise<number>): Promise<number> {
  const begun = performance.now();
  const counts = await Promise.all(Array.from({ length: streams }, one));
  return counts.reduce((sum, count) => sum + count, 0) / ((performance.now() - begun) / 1_000);
}

async function served(): Promise<number> {
  const body = {
    model: 'm',
    prompt,
    max_tokens: tokens,
    temperature: 0,
    stream: true,
    stream_options: { include_usage: true },
  };
  const answer = await server.agent.request({
    origin: 'http://localhost',
    path: '/v1/completions',
    method: 'POST',
    body: JSON.stringify(body),
  });
  const events = (await answer.body.text()).split('\n\n').filter(Boolean);
  const { usage } = JSON.parse(events.at(-2)!.slice('data: '.length)) as { usage: { completion_tokens: number } };
  return usage.completion_tokens;
}

async function alone(model: LlamaModel, streams: number): Promise<number> {
  const context = await model.createContext({ contextSize: 512, sequences: streams, threads });
  const input: Token[] = model.tokenize(prompt);
  const rate = await timed(streams, async () => {
    let count = 0;
    for await (const _token of context.getSequence().evaluate(input, { temperature: 0 })) if (++count >= tokens) break;
    return count;
  });
  await context.dispose();
  return rate;
}

const cases: [string, () => Promise<number>][] = [
  ['node-llama-cpp, 1 stream', () => alone(model, 1)],
  ['language server, 1 stream', () => timed(1, served)],
  ['node-llama-cpp, 4 streams', () => alone(model, 4)],
  ['language server, 4 streams', () => timed(4, served)],
  ['language server, 8 streams', () => timed(8, served)],
];
const rates = new Map(cases.map(([name]) => [name, [] as number[]]));
for (let round = 0; round < rounds; round += 1) for (const [name, work] of cases) rates.get(name)!.push(await work());
const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!;
for (const [name, values] of rates)
  process.stdout.write(
    `${name.padEnd(28)} ${median(values).toFixed(1).padStart(7)} tokens/s (best ${Math.max(...values).toFixed(1)})\n`,
  );
await llama.dispose();
