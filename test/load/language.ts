// Tokens per second of the language server beside node-llama-cpp alone, in rounds that alternate, so that what else the
// machine does meets both: `node deploy/boot/run.mjs test/load/language.ts [rounds] [threads]`.
import { LlamaLogLevel, type LlamaModel, type Token, getLlama } from 'node-llama-cpp';
import { readFile, readdir } from 'node:fs/promises';
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

interface Rate {
  perSecond: number;
  /** Tokens per second of processor time: what other programs do at the same time matters less to it. */
  perProcessorSecond: number;
}

const ticksPerSecond = 100;

/** Processor time that a process has taken, in seconds. Source: proc_pid_stat(5). */
async function processorSeconds(pid: number): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond;
}

async function timed(pid: number, streams: number, one: () => Promise<number>): Promise<Rate> {
  const [begun, usedBefore] = [performance.now(), await processorSeconds(pid)];
  const counts = await Promise.all(Array.from({ length: streams }, one));
  const count = counts.reduce((sum, one) => sum + one, 0);
  return {
    perSecond: count / ((performance.now() - begun) / 1_000),
    perProcessorSecond: count / ((await processorSeconds(pid)) - usedBefore),
  };
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

async function alone(model: LlamaModel, streams: number): Promise<Rate> {
  const context = await model.createContext({ contextSize: 512, sequences: streams, threads });
  const input: Token[] = model.tokenize(prompt);
  const rate = await timed(process.pid, streams, async () => {
    let count = 0;
    for await (const _token of context.getSequence().evaluate(input, { temperature: 0 })) if (++count >= tokens) break;
    return count;
  });
  await context.dispose();
  return rate;
}

const cases: [string, () => Promise<Rate>][] = [
  ['node-llama-cpp, 1 stream', () => alone(model, 1)],
  ['language server, 1 stream', () => timed(server.child.pid!, 1, served)],
  ['node-llama-cpp, 4 streams', () => alone(model, 4)],
  ['language server, 4 streams', () => timed(server.child.pid!, 4, served)],
  ['language server, 8 streams', () => timed(server.child.pid!, 8, served)],
];
const rates = new Map(cases.map(([name]) => [name, [] as Rate[]]));
for (let round = 0; round < rounds; round += 1) for (const [name, work] of cases) rates.get(name)!.push(await work());

function median(values: readonly number[]): string {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)]!.toFixed(1).padStart(8);
}
process.stdout.write(`${'tokens, medians'.padEnd(28)}     /s  /s of processor time\n`);
for (const [name, values] of rates) {
  const [perSecond, perProcessor] = [
    values.map((rate) => rate.perSecond),
    values.map((rate) => rate.perProcessorSecond),
  ];
  process.stdout.write(`${name.padEnd(28)}${median(perSecond)}${median(perProcessor)}\n`);
}
await llama.dispose();
