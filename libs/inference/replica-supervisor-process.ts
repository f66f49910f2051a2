import type { Manifest } from './manifest.js';
import { spawn, type ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';

export interface ReplicaLaunch {
  replicaId: string;
  model: string;
  version: string;
  /** Folder with `sluice.json`. */
  artifactPath: string;
  socketPath: string;
  manifest: Manifest;
  /** Counts the replicas of this version here from 0; a number becomes free again when its replica has gone. */
  ordinal: number;
}

/** A process that serves one replica. Its promises never reject. */
export interface ReplicaProcess {
  readonly pid: number | undefined;
  /** Where it answers, when that is not the socket of its launch. */
  readonly address?: string | undefined;
  /** It may take as long as it likes to become ready, because nothing of this machine waits with it. */
  readonly isPatient?: boolean | undefined;
  /** Calls back with what people should know about it while it lives, and with null when that is over. */
  onNotice?(listener: (notice: string | null) => void): void;
  /** Resolves when the model is loaded and warmed. */
  readonly ready: Promise<void>;
  /** Resolves with the reason, in a sentence, when the process is gone. */
  readonly ended: Promise<string>;
  /** Asks it to finish what it has begun and to end. */
  terminate(): void;
  kill(): void;
}

export type SpawnReplica = (launch: ReplicaLaunch) => ReplicaProcess;

export interface ModelServerSpawnSettings {
  /** The built `apps/model-server/main.js`. */
  entryPath: string;
  threads: number;
  /** The whole environment besides the server's own settings. Keys and database addresses have no place in it. */
  env?: Readonly<Record<string, string>> | undefined;
  onLine?: ((line: string, launch: ReplicaLaunch) => void) | undefined;
}

/** Starts model servers as child processes of this one; they end when their channel to it closes. */
export function modelServerSpawner({ entryPath, threads, env, onLine }: ModelServerSpawnSettings): SpawnReplica {
  return (launch) => {
    const child = spawn(process.execPath, [entryPath], {
      env: {
        ...env,
        SLUICE_MODEL_DIR: launch.artifactPath,
        SLUICE_SOCKET: launch.socketPath,
        SLUICE_THREADS: String(threads),
      },
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      serialization: 'json',
    });
    for (const stream of [child.stdout, child.stderr]) {
      // Read even when nobody listens: a full pipe would block the child.
      if (stream !== null) createInterface({ input: stream }).on('line', (line) => onLine?.(line, launch));
    }
    return new ModelServerProcess(child);
  };
}

class ModelServerProcess implements ReplicaProcess {
  readonly ready: Promise<void>;
  readonly ended: Promise<string>;
  private failure: string | undefined;

  constructor(private readonly child: ChildProcess) {
    this.ready = new Promise((resolve) => {
      child.on('message', (message: { kind?: unknown; reason?: unknown }) => {
        if (message?.kind === 'ready') resolve();
        if (message?.kind === 'failed') this.failure = String(message.reason);
      });
    });
    this.ended = new Promise((resolve) => {
      child.on('error', (error) => {
        // Without a pid it never started, and no exit follows.
        if (child.pid === undefined) resolve(`could not be started: ${error.message}`);
      });
      child.on('exit', (code, signal) =>
        resolve(this.failure ?? (signal === null ? `exited with code ${code}` : `was ended by ${signal}`)),
      );
    });
  }

  get pid(): number | undefined {
    return this.child.pid;
  }

  terminate(): void {
    this.child.kill('SIGTERM');
  }

  kill(): void {
    this.child.kill('SIGKILL');
  }
}
