import type { ModelFormat } from '../models/manifest.js';
import type { ReplicaProcess, SpawnReplica } from './replica-supervisor-process.js';

/** How this supervisor runs each format that it can run. */
export type ReplicaSpawners = Readonly<Partial<Record<ModelFormat, SpawnReplica>>>;

/** One spawner for all formats. A format without one ends at once and says so in the replica's row. */
export function spawnByFormat(spawners: ReplicaSpawners): SpawnReplica {
  return (launch) => {
    const { format } = launch.manifest;
    return spawners[format]?.(launch) ?? refusedLaunch(`this host runs no models of format ${format}`);
  };
}

function refusedLaunch(reason: string): ReplicaProcess {
  return {
    pid: undefined,
    ready: new Promise(() => undefined),
    ended: Promise.resolve(reason),
    terminate: () => undefined,
    kill: () => undefined,
  };
}
