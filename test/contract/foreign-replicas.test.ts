import { afterAll, describe } from 'vitest';
import { lookup } from 'node:dns';
import type { ForeignServer } from '../../libs/inference/adapters/oip/oip-replica.js';
import { OipReplica } from '../../libs/inference/adapters/oip/oip-replica.js';
import { TfServingReplica } from '../../libs/inference/adapters/tf-serving/tf-serving-replica.js';
import {
  everything,
  replicaContract,
  type ContractModel,
  type StartedReplica,
} from '../../libs/inference/ports/replica.contract.js';
import type { Replica } from '../../libs/inference/ports/replica.js';
import { signatureOf, startMlServer, startTfServing, type ForeignProcess } from '../support/foreign/foreign-server.js';

const foreign: ForeignServer = { headers: () => ({ 'x-test': 'yes' }), lookup, connectTimeoutMs: 2_000 };
const supports = { ...everything, namesFields: false };

function started(replica: Replica, server: ForeignProcess, isShared: boolean): StartedReplica {
  return {
    replica,
    drain: () => server.drain(),
    crash: () => server.crash(),
    [Symbol.asyncDispose]: async () => {
      await replica[Symbol.asyncDispose]();
      if (!isShared) await server[Symbol.asyncDispose]();
    },
  };
}

/** Only the model that is drained and crashed needs a server of its own each time. */
class SharedServers implements AsyncDisposable {
  private readonly servers = new Map<string, Promise<ForeignProcess>>();

  of(key: string, start: () => Promise<ForeignProcess>): Promise<ForeignProcess> {
    let server = this.servers.get(key);
    if (server === undefined) this.servers.set(key, (server = start()));
    return server;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const server of await Promise.all(this.servers.values())) await server[Symbol.asyncDispose]();
  }
}

const shared = new SharedServers();
afterAll(() => shared[Symbol.asyncDispose]());

describe('a real MLServer', () => {
  const startReplica = async (model: ContractModel): Promise<StartedReplica> => {
    const isShared = model !== 'slow';
    const server = isShared
      ? await shared.of('mlserver', () => startMlServer(['dense', 'identity', 'broken', 'tone']))
      : await startMlServer([model]);
    const { address } = server;
    return started(new OipReplica({ id: model, address, model, version: '1', foreign }), server, isShared);
  };
  replicaContract('OipReplica', startReplica, supports);
});

describe.each(['columns', 'rows'] as const)("TensorFlow Serving's REST API, by %s", (form) => {
  const startReplica = async (model: ContractModel): Promise<StartedReplica> => {
    const isShared = model !== 'slow';
    const server = isShared ? await shared.of(model, () => startTfServing(model)) : await startTfServing(model);
    const signature = await signatureOf(model);
    const { address } = server;
    const replica = new TfServingReplica({ id: model, address, model, version: '1', ...signature, form, foreign });
    return started(replica, server, isShared);
  };
  replicaContract('TfServingReplica', startReplica, supports);
});
