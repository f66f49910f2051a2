import type { SluiceInstance } from '../support/sluice-instance.ts';
import { expectStatus } from './bench-models.ts';
import type { BenchOptions } from './bench-options.ts';
import { median, say, sayRate, summaryOf } from './bench-report.ts';
import { chatBody, startGatewayUpstream } from './gateway-upstream.ts';
import { load, type LoadResult, type LoadRun } from './load-client.ts';
import { openStreams, quantile, type StreamResult } from './stream-client.ts';

const endpoint = 'bench-chat';
const path = '/v1/chat/completions';
const streams = 256;
const tokenEveryMs = 50;
const warmUpTokens = 40;

export type GatewayTarget = Pick<LoadRun, 'url' | 'headers'> & { body: string };

/** The gateway with all that a request passes (key, route, record, counters) beside a direct call in the same minute. */
export async function benchGateway(sluice: SluiceInstance, options: BenchOptions): Promise<void> {
  using upstream = await startGatewayUpstream();
  const through = await offerGateway(sluice, upstream.base);
  const direct = directTarget(upstream.base);
  for (const connections of [1, 16]) await compare(direct, through, connections, options);
  await compareStreams(direct, through, options);
}

/** What a client sends to the upstream itself. */
export const directTarget = (upstream: string): GatewayTarget => targetOf(upstream, {}, 'bench');

/** Gives Sluice an endpoint in front of the upstream. @returns what a client sends to it */
export async function offerGateway(sluice: SluiceInstance, upstream: string): Promise<GatewayTarget> {
  const manifest = {
    schemaVersion: 1,
    name: endpoint,
    version: '1',
    format: 'remote',
    files: [],
    remote: { protocol: 'openai', targets: [{ url: upstream, model: 'bench' }], maxConcurrency: 1_024 },
  };
  await expectStatus(sluice.call('POST', '/api/models', { manifest }), [200, 201]);
  await expectStatus(sluice.call('POST', '/api/endpoints', { name: endpoint, model: endpoint, version: '1' }), [201]);
  const deadline = performance.now() + 60_000;
  while ((await sluice.call('POST', path, JSON.parse(chatBody(endpoint)))).status !== 200) {
    if (performance.now() > deadline) throw new Error('the gateway did not become ready');
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return targetOf(sluice.base, { authorization: `Bearer ${await sluice.adminKey()}` }, endpoint);
}

function targetOf(base: string, headers: Record<string, string>, model: string): GatewayTarget {
  return { url: `${base}${path}`, headers: { 'content-type': 'application/json', ...headers }, body: chatBody(model) };
}

async function compare(
  direct: GatewayTarget,
  through: GatewayTarget,
  connections: number,
  { rounds, secondsPerRound: seconds }: BenchOptions,
): Promise<void> {
  for (const each of [direct, through]) await load({ ...each, connections, seconds: 2 });
  const [directRounds, ourRounds]: [LoadResult[], LoadResult[]] = [[], []];
  // In turn, so that a slow minute of the machine slows both.
  for (let round = 0; round < rounds; round += 1) {
    directRounds.push(await load({ ...direct, connections, seconds }));
    ourRounds.push(await load({ ...through, connections, seconds }));
  }
  const added = (pick: (round: LoadResult) => number): string =>
    median(ourRounds.map((round, index) => pick(round) - pick(directRounds[index]!))).toFixed(2);
  say(`\ngateway, instant upstream, ${connections} connection(s), median of ${rounds} rounds of ${seconds} s`);
  sayRate('direct', summaryOf(directRounds));
  sayRate('Sluice', summaryOf(ourRounds));
  say(`  ${'added'.padEnd(30)} p50 ${added((round) => round.p50Ms)} ms   p99 ${added((round) => round.p99Ms)} ms`);
}

async function compareStreams(direct: GatewayTarget, through: GatewayTarget, { isShort }: BenchOptions): Promise<void> {
  const tokens = isShort ? 60 : 200;
  const run = (target: GatewayTarget, tokens: number): Promise<StreamResult> => {
    const asked = JSON.parse(target.body) as object;
    const metadata = { tokens: String(tokens), every_ms: String(tokenEveryMs) };
    const body = JSON.stringify({ ...asked, stream: true, metadata });
    return openStreams({ ...target, body, streams, tokens, rampMs: 2_000 });
  };
  say(`\ngateway, ${streams} streams at once, ${tokens} tokens each, one every ${tokenEveryMs} ms`);
  const results: StreamResult[] = [];
  for (const [name, target] of [
    ['direct', direct],
    ['Sluice', through],
  ] as const) {
    // The first streams of a process are compiled while they run.
    await run(target, warmUpTokens);
    const result = await run(target, tokens);
    results.push(result);
    const { firstTokenMs: first, lagMs: lag, lostTokens, failures } = result;
    say(
      `  ${name.padEnd(30)} first token p50 ${quantile(first, 0.5).toFixed(2)} ms p99 ${quantile(first, 0.99).toFixed(2)} ms   ` +
        `token on its way p50 ${quantile(lag, 0.5).toFixed(2)} ms p99 ${quantile(lag, 0.99).toFixed(2)} ms   ` +
        `lost ${lostTokens}   failed ${failures}`,
    );
  }
  const added = (pick: (result: StreamResult) => number[], share: number): string =>
    (quantile(pick(results[1]!), share) - quantile(pick(results[0]!), share)).toFixed(2);
  const first = (result: StreamResult): number[] => result.firstTokenMs;
  const lag = (result: StreamResult): number[] => result.lagMs;
  say(
    `  ${'added'.padEnd(30)} first token p50 ${added(first, 0.5)} ms p99 ${added(first, 0.99)} ms   ` +
      `token on its way p50 ${added(lag, 0.5)} ms p99 ${added(lag, 0.99)} ms`,
  );
}
