import type { LoadResult } from './load-client.ts';

export const say = (text: string): void => void process.stdout.write(`${text}\n`);
export const median = (values: readonly number[]): number =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]!;
export const count = (value: number): string => Math.round(value).toLocaleString('en-GB');

/** The medians of some rounds, and how many requests failed in all of them. */
export function summaryOf(rounds: readonly LoadResult[]): LoadResult {
  const of = (pick: (round: LoadResult) => number): number => median(rounds.map(pick));
  return {
    requestsPerSecond: of((round) => round.requestsPerSecond),
    p50Ms: of((round) => round.p50Ms),
    p99Ms: of((round) => round.p99Ms),
    failures: rounds.reduce((sum, round) => sum + round.failures, 0),
    requests: rounds.reduce((sum, round) => sum + round.requests, 0),
  };
}

/** One line of a table: name, rate, latencies, and failures where there were any. */
export function sayRate(name: string, result: LoadResult, rest = ''): void {
  const { requestsPerSecond, p50Ms, p99Ms, failures } = result;
  const rate = `${count(requestsPerSecond).padStart(8)} requests/s`;
  const failed = failures === 0 ? '' : `   ${count(failures)} failed`;
  say(`  ${name.padEnd(30)} ${rate}   p50 ${p50Ms.toFixed(2)} ms   p99 ${p99Ms.toFixed(2)} ms${rest}${failed}`);
}
