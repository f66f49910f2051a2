import type { SluiceInstance } from '../support/sluice-instance.ts';
import { directTarget, offerGateway, type GatewayTarget } from './bench-gateway.ts';
import type { BenchOptions } from './bench-options.ts';
import { median, say, sayRate, summaryOf } from './bench-report.ts';
import { startGatewayUpstream } from './gateway-upstream.ts';
import { load, type LoadResult } from './load-client.ts';
import { gatewayPeers, type GatewayPeer } from './peers/gateway-peers.ts';

/** Gateways of others and Sluice before the same instant upstream, in turn within the same minute. */
export async function benchGatewayPeers(sluice: SluiceInstance, options: BenchOptions): Promise<void> {
  const peers = gatewayPeers.filter(({ name }) => options.only === undefined || options.only.has(name));
  if (peers.length === 0) return;
  using upstream = await startGatewayUpstream();
  const ours = await offerGateway(sluice, upstream.base);
  const direct = directTarget(upstream.base);
  say(`\ngateways, instant upstream, rounds of ${options.secondsPerRound} s`);
  for (const peer of peers) {
    try {
      await benchPeer(peer, upstream.base, { ours, direct }, options);
    } catch (error) {
      say(`  ${peer.name.padEnd(30)} not measured: ${(error as Error).message}`);
    }
  }
}

async function benchPeer(
  peer: GatewayPeer,
  upstream: string,
  { ours, direct }: { ours: GatewayTarget; direct: GatewayTarget },
  { rounds, secondsPerRound: seconds }: BenchOptions,
): Promise<void> {
  await using running = await peer.start(upstream, direct.body);
  const theirs = running.target;
  for (const each of [theirs, ours]) await load({ ...each, connections: 16, seconds: 2 });
  for (const connections of [1, 16]) {
    const [directs, theirRounds, ourRounds]: LoadResult[][] = [[], [], []];
    for (let round = 0; round < rounds; round += 1) {
      directs!.push(await load({ ...direct, connections, seconds }));
      theirRounds!.push(await load({ ...theirs, connections, seconds }));
      ourRounds!.push(await load({ ...ours, connections, seconds }));
    }
    const added = (those: readonly LoadResult[]): string =>
      `   p50 +${median(those.map((each, index) => each.p50Ms - directs![index]!.p50Ms)).toFixed(2)} ms`;
    const ratio = median(ourRounds!.map((each, at) => each.requestsPerSecond / theirRounds![at]!.requestsPerSecond));
    say(`  ${connections} connection(s)`);
    sayRate('direct', summaryOf(directs!));
    sayRate(peer.name, summaryOf(theirRounds!), added(theirRounds!));
    sayRate('Sluice', summaryOf(ourRounds!), `${added(ourRounds!)}   ${ratio.toFixed(1)} times`);
  }
}
