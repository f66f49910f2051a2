import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { type ContractModel, type StartedReplica, replicaContract } from '../../ports/replica.contract.js';
import { OipReplica } from './oip-replica.js';

const root = fileURLToPath(new URL('../../../..', import.meta.url));
const models: Record<ContractModel, { folder: string; model: string; version: string }> = {
  dense: { folder: 'test/models/dense', model: 'dense', version: '1' },
  identity: { folder: 'test/models/identity', model: 'identity', version: '1' },
  tone: { folder: 'deploy/models/tone/1', model: 'tone', version: '1' },
  broken: { folder: 'test/models/tone-broken', model: 'tone', version: '3' },
  slow: { folder: 'test/models/tone-slow', model: 'tone', version: '4' },
};

async function startModelServer(name: ContractModel): Promise<StartedReplica> {
  const { folder, model, version } = models[name];
  const socketFolder = await mkdtemp(path.join(tmpdir(), 'oip-'));
  const socketPath = path.join(socketFolder, 'model.sock');
  const child = spawn(process.execPath, [path.join(root, 'dist/apps/model-server/main.js')], {
    env: { SLUICE_MODEL_DIR: path.join(root, folder), SLUICE_SOCKET: socketPath },
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  const exit = once(child, 'exit') as Promise<[code: number | null]>;
  const [message] = await Promise.race([once(child, 'message'), exit.then(([code]) => [{ kind: `exit ${code}` }])]);
  if ((message as { kind: string }).kind !== 'ready')
    throw new Error(`the model server did not start: ${JSON.stringify(message)}`);
  const replica = new OipReplica({ id: name, address: `unix:${socketPath}`, model, version });
  const crash = async (): Promise<void> => {
    child.kill('SIGKILL');
    await exit;
  };
  return {
    replica,
    drain: async () => {
      child.kill('SIGTERM');
      const [code] = await exit;
      return { isClean: code === 0 };
    },
    crash,
    [Symbol.asyncDispose]: async () => {
      await replica[Symbol.asyncDispose]();
      await crash();
      await rm(socketFolder, { recursive: true });
    },
  };
}

replicaContract('OipReplica on a model server', startModelServer);
