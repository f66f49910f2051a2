import type { SluiceInstance } from '../support/sluice-instance.ts';
import { binaryRequest, jsonRequest, offerModel } from './bench-models.ts';
import type { BenchOptions } from './bench-options.ts';
import { count, say } from './bench-report.ts';
import { load, type LoadRun } from './load-client.ts';
import { residentOf } from './process-memory.ts';

interface Sample {
  minute: number;
  mebibytes: number;
}

/** V8 sizes its heap in the first minutes; growth after that is growth. */
const warmUpShare = 0.3;
const roundSeconds = 15;

/**
 * Mixed load for some minutes: JSON and binary, both models, and requests that are refused. Prints how fast each of our own
 * processes grows, as the slope of a straight line through its resident memory after the warm-up.
 */
export async function benchSoak(sluice: SluiceInstance, { minutes }: BenchOptions): Promise<void> {
  await offerModel(sluice, 'wide');
  const mix = await mixOf(sluice);
  const watched = await watchedPids(sluice);
  const samples = new Map<string, Sample[]>([...watched.keys()].map((name) => [name, []]));
  const beganMs = performance.now();
  const minutesSoFar = (): number => (performance.now() - beganMs) / 60_000;
  let requests = 0;
  while (minutesSoFar() < minutes) {
    const results = await Promise.all(mix.map((run) => load({ ...run, seconds: roundSeconds })));
    requests += results.reduce((sum, result) => sum + result.requests, 0);
    for (const [name, pid] of watched)
      samples.get(name)!.push({ minute: minutesSoFar(), mebibytes: await residentOf(pid) });
  }
  say(`\nsoak, ${minutes} minutes of mixed load, ${count(requests)} requests`);
  for (const [name, all] of samples) {
    const late = all.filter(({ minute }) => minute >= minutes * warmUpShare);
    const [first, last] = [late[0]!.mebibytes, late.at(-1)!.mebibytes];
    say(
      `  ${name.padEnd(16)} ${slopeOf(late).toFixed(2).padStart(7)} MiB a minute   (${first.toFixed(0)} to ${last.toFixed(0)} MiB)`,
    );
    // The way there tells a heap that finds its size from one that leaks.
    const tenths = Array.from({ length: 11 }, (_, tenth) => all[Math.round((tenth * (all.length - 1)) / 10)]!);
    say(`  ${''.padEnd(16)} ${tenths.map(({ mebibytes }) => mebibytes.toFixed(0)).join(' ')}`);
  }
}

async function mixOf(sluice: SluiceInstance): Promise<Omit<LoadRun, 'seconds'>[]> {
  const authorization = `Bearer ${await sluice.adminKey()}`;
  const json = { 'content-type': 'application/json', authorization };
  const urlOf = (model: string): string => `${sluice.base}/v2/models/${model}/infer`;
  const { body, headerLength } = binaryRequest('wide');
  const binary = {
    'content-type': 'application/octet-stream',
    'inference-header-content-length': String(headerLength),
    authorization,
  };
  return [
    { url: urlOf('dense'), headers: json, body: jsonRequest('dense'), connections: 8 },
    { url: urlOf('wide'), headers: json, body: jsonRequest('wide'), connections: 8 },
    { url: urlOf('wide'), headers: binary, body, connections: 8 },
    { url: urlOf('dense'), headers: json, body: '{"inputs":[{"name":"x"', connections: 2 },
    { url: urlOf('nothing'), headers: json, body: jsonRequest('dense'), connections: 2 },
  ];
}

async function watchedPids(sluice: SluiceInstance): Promise<Map<string, number>> {
  const [api] = await sluice.pids('api');
  const [worker] = await sluice.pids('worker');
  const servers = await sluice.pids('model-server');
  return new Map([
    ['API', api!],
    ['worker', worker!],
    ['launcher', sluice.launcher.pid!],
    ...servers.map((pid, index): [string, number] => [`model server ${index}`, pid]),
  ]);
}

/** Least squares, in MiB a minute. */
function slopeOf(samples: readonly Sample[]): number {
  const mean = (pick: (sample: Sample) => number): number =>
    samples.reduce((sum, sample) => sum + pick(sample), 0) / samples.length;
  const [minute, mebibytes] = [mean((sample) => sample.minute), mean((sample) => sample.mebibytes)];
  const covariance = samples.reduce(
    (sum, sample) => sum + (sample.minute - minute) * (sample.mebibytes - mebibytes),
    0,
  );
  const variance = samples.reduce((sum, sample) => sum + (sample.minute - minute) ** 2, 0);
  return variance === 0 ? 0 : covariance / variance;
}
