import type { SluiceInstance } from '../support/sluice-instance.ts';
import { binaryRequest, jsonRequest, offerModel, shapeOf, type BenchModel } from './bench-models.ts';
import type { BenchOptions } from './bench-options.ts';
import { median, say, sayRate, summaryOf } from './bench-report.ts';
import { load, type LoadResult, type LoadRun } from './load-client.ts';
import { startTensorPeer, tensorPeers, type TensorPeer } from './peers/tensor-peers.ts';

const connections = 32;
const jsonHeaders = { 'content-type': 'application/json' };
/** Answers come by other ways of summing on other thread counts; a real difference is far larger. */
const tolerance = 1e-4;

/**
 * Each peer beside Sluice: the same ONNX graph, one run thread, the same client and number of connections, in turn within
 * the same minute. A peer whose answer differs, or that does not start, is said and left out.
 */
export async function benchPeers(sluice: SluiceInstance, options: BenchOptions): Promise<void> {
  const peers = tensorPeers.filter(({ name }) => options.only === undefined || options.only.has(name));
  if (peers.length === 0) return;
  await offerModel(sluice, 'wide');
  for (const model of ['dense', 'wide'] as const) {
    say(`\npeers, ${model} ${shapeOf[model]}, ${connections} connections, rounds of ${options.secondsPerRound} s`);
    for (const peer of peers) {
      try {
        await benchPeer(sluice, peer, model, options);
      } catch (error) {
        say(`  ${peer.name.padEnd(30)} not measured: ${(error as Error).message}`);
      }
    }
  }
}

async function benchPeer(
  sluice: SluiceInstance,
  peer: TensorPeer,
  model: BenchModel,
  { rounds, secondsPerRound: seconds }: BenchOptions,
): Promise<void> {
  const [ours, oursInBinary] = await ourRuns(sluice, model);
  await using running = await startTensorPeer(peer, model);
  refuseOtherAnswer(peer.rowOf(running.answer), await ourRow(sluice, model));
  const theirs = running.target;
  for (const each of [theirs, ours]) await load({ ...each, connections, seconds: 2 });
  const [theirRounds, ourRounds, binaryRounds]: LoadResult[][] = [[], [], []];
  for (let round = 0; round < rounds; round += 1) {
    theirRounds!.push(await load({ ...theirs, connections, seconds }));
    ourRounds!.push(await load({ ...ours, connections, seconds }));
    binaryRounds!.push(await load({ ...oursInBinary, connections, seconds }));
  }
  const ratio = (mine: readonly LoadResult[]): string =>
    median(mine.map((round, index) => round.requestsPerSecond / theirRounds![index]!.requestsPerSecond)).toFixed(1);
  sayRate(peer.name, summaryOf(theirRounds!));
  sayRate('  Sluice, JSON', summaryOf(ourRounds!), `   ${ratio(ourRounds!)} times`);
  sayRate('  Sluice, binary tensors', summaryOf(binaryRounds!), `   ${ratio(binaryRounds!)} times`);
}

type Target = Pick<LoadRun, 'url' | 'headers' | 'body'>;

async function ourRuns(sluice: SluiceInstance, model: BenchModel): Promise<[Target, Target]> {
  const url = `${sluice.base}/v2/models/${model}/infer`;
  const authorization = `Bearer ${await sluice.adminKey()}`;
  const { body, headerLength } = binaryRequest(model);
  const binaryHeaders = {
    'content-type': 'application/octet-stream',
    'inference-header-content-length': String(headerLength),
  };
  return [
    { url, headers: { ...jsonHeaders, authorization }, body: jsonRequest(model) },
    { url, headers: { ...binaryHeaders, authorization }, body },
  ];
}

async function ourRow(sluice: SluiceInstance, model: BenchModel): Promise<number[]> {
  const answer = await sluice.call('POST', `/v2/models/${model}/infer`, JSON.parse(jsonRequest(model)));
  return answer.body.outputs[0].data;
}

function refuseOtherAnswer(row: readonly number[], expected: readonly number[]): void {
  const isSame =
    row.length === expected.length && row.every((value, index) => Math.abs(value - expected[index]!) <= tolerance);
  if (!isSame) throw new Error(`it answers ${JSON.stringify(row)} instead of ${JSON.stringify(expected)}`);
}
