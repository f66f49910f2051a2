import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { ApiFleet } from '../support/api-fleet.ts';
import { setTimeout as pause } from 'node:timers/promises';
import { hasRedis, RedisServer } from '../support/redis-server.ts';
import type { SluiceInstance } from '../support/sluice-instance.ts';
import { expectStatus, jsonRequest } from './bench-models.ts';
import type { BenchOptions } from './bench-options.ts';
import { median, say, sayRate, summaryOf } from './bench-report.ts';
import { load, type LoadResult, type LoadRun } from './load-client.ts';

const connections = 32;
const warmUpSeconds = 4;
const goals = { access: 15, records: 5, redisMs: 1, recordsPerSecond: 10_000 };

type Variant = 'whole' | 'access' | 'records';
type Target = Omit<LoadRun, 'connections' | 'seconds'>;

interface CostRound extends LoadResult {
  /** What the API process used of a processor for one request, in microseconds. */
  processorUs: number;
}

/**
 * What key check, limits and budget, and what the request log, take of the infer throughput: the whole API beside the same one
 * with that part taken out, in turn in the same minute, on the same database and model server. The API is the process that
 * saturates, so its processor time for a request tells the same as the throughput, and other work on the machine does not touch it
 * as much.
 */
export async function benchCosts(sluice: SluiceInstance, options: BenchOptions): Promise<void> {
  await limitEverybody(sluice);
  const key = await sluice.adminKey();
  const { rounds } = options;
  const results: Record<Variant, CostRound[]> = { whole: [], access: [], records: [] };
  for (let round = 0; round < rounds; round += 1) {
    // Each round begins with another one, so that none always has what the one before left behind.
    const order = (['whole', 'access', 'records'] as const).map((_, index, all) => all[(index + round) % all.length]!);
    for (const name of order) results[name].push(await costRound(sluice, name, key, options));
  }
  say(`\ncosts, dense model, ${connections} connections, median of ${rounds} rounds, each with processes of its own`);
  sayVariant('the whole API', results.whole);
  sayVariant('without key, limits, budget', results.access);
  sayVariant('without request log', results.records);
  sayCost('key, limits and budget', results.whole, results.access, goals.access);
  sayCost('request log', results.whole, results.records, goals.records);
  const logged = summaryOf(results.whole).requestsPerSecond;
  say(`  records written in batches     ${Math.round(logged)} a second (goal ${goals.recordsPerSecond})`);
  await addedByRedis(sluice, key, options);
}

const targetOf = ({ bases: [base] }: ApiFleet, key: string): Target => ({
  url: `${base}/v2/models/dense/infer`,
  headers: { 'content-type': 'application/json', authorization: `Bearer ${key}` },
  body: jsonRequest('dense'),
});

/** A process for each round: how its code happens to be compiled and laid out makes more difference than what is measured. */
async function costRound(
  sluice: SluiceInstance,
  variant: Variant,
  key: string,
  { secondsPerRound: seconds }: BenchOptions,
): Promise<CostRound> {
  await using fleet = await ApiFleet.start(sluice, 1, variant === 'whole' ? {} : without(variant));
  await load({ ...targetOf(fleet, key), connections, seconds: warmUpSeconds });
  const before = await processorUsOf(fleet.pids[0]!);
  const result = await load({ ...targetOf(fleet, key), connections, seconds });
  // Records and settlements of the last moment are still written.
  await pause(600);
  return { ...result, processorUs: ((await processorUsOf(fleet.pids[0]!)) - before) / result.requests };
}

const without = (part: string): Record<string, string> => ({
  NODE_OPTIONS: `--import ${fileURLToPath(new URL('./api-without.mjs', import.meta.url))}`,
  SLUICE_BENCH_WITHOUT: part,
});

/** Processor time of a process so far, in its own code and in the kernel for it. Linux counts it in hundredths of a second. */
async function processorUsOf(pid: number): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) * 10_000;
}

function sayVariant(name: string, rounds: readonly CostRound[]): void {
  const each = rounds.map(({ processorUs }) => processorUs.toFixed(0)).join(' ');
  sayRate(
    name,
    summaryOf(rounds),
    `   ${median(rounds.map(({ processorUs }) => processorUs)).toFixed(1)} µs of the processor (${each})`,
  );
}

/** The whole way with the limits in Redis beside the same in process, one request at a time. */
async function addedByRedis(
  sluice: SluiceInstance,
  key: string,
  { rounds, secondsPerRound: seconds }: BenchOptions,
): Promise<void> {
  if (!hasRedis) return say('  no Redis on this machine: its cost was not measured');
  await using redis = await RedisServer.start();
  await using alone = await ApiFleet.start(sluice, 1);
  await using shared = await ApiFleet.start(sluice, 1, { REDIS_URL: redis.url, SLUICE_API_PROCESSES: '2' });
  const targets = [targetOf(alone, key), targetOf(shared, key)] as const;
  for (const target of targets) await load({ ...target, connections: 1, seconds: warmUpSeconds });
  const added: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    const here = await load({ ...targets[0], connections: 1, seconds });
    const there = await load({ ...targets[1], connections: 1, seconds });
    added.push(there.p50Ms - here.p50Ms);
  }
  const more = median(added).toFixed(2);
  say(`  limits in Redis                ${more} ms more at p50, one connection (goal at most ${goals.redisMs} ms)`);
}

function sayCost(name: string, whole: readonly CostRound[], part: readonly CostRound[], goal: number): void {
  const percent = (pick: (round: CostRound) => number): string =>
    ((1 - median(part.map(pick)) / median(whole.map(pick))) * 100).toFixed(1).padStart(6);
  const throughput = percent((round) => 1 / round.requestsPerSecond);
  say(
    `  ${name.padEnd(30)} ${percent(({ processorUs }) => processorUs)} % of the processor time, ${throughput} % of the throughput ` +
      `(goal at most ${goal} %)`,
  );
}

/** Limits and a hard budget that count every request and refuse none. */
async function limitEverybody(sluice: SluiceInstance): Promise<void> {
  const requests = {
    requestsPerSecond: { perSecond: 1_000_000, burst: 1_000_000 },
    requestsPerDay: 1_000_000_000_000,
    concurrentRequests: 100_000,
  };
  const tokens = { tokensPerMinute: 1_000_000_000_000, tokensPerDay: 1_000_000_000_000, concurrentStreams: 100_000 };
  // As many limits as the tier `standard` has.
  const management = { perSecond: 1_000, burst: 1_000 };
  const tier = { key: { ...requests, ...tokens }, project: {}, tenant: requests, management };
  await expectStatus(sluice.call('PUT', '/api/tiers/internal', tier), [200]);
  await expectStatus(sluice.call('POST', '/api/prices', { endpoint: 'dense', requestMicros: 1 }), [201]);
  const subject = { kind: 'tenant', id: '00000000-0000-4000-8000-000000000001' };
  const budget = { name: 'bench', subject, unit: 'money', limit: 1_000_000_000_000, period: 'total', isHard: true };
  await expectStatus(sluice.call('POST', '/api/budgets', budget), [201]);
}
