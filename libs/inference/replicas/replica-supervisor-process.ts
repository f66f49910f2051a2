import type { Manifest } from '../models/manifest.js';
import { spawn, type ChildProcess } from 'node:child_process';
import { get } from 'node:http';
import { createInterface } from 'node:readline';
import type { ReplicaRuntime } from '#libs/store';

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
  /** Threads that one run may use: what the manifest says, else this replica's share of the machine. */
  threads: number;
}

/** `silent`: no answer in time, which may be the machine's fault as well. */
export type LivenessAnswer = { state: 'live' } | { state: 'hung'; reason: string } | { state: 'silent' };

/** A process that serves one replica. Its promises never reject. */
export interface ReplicaProcess {
  readonly pid: number | undefined;
  /** Where it answers, when that is not the socket of its launch. */
  readonly address?: string | undefined;
  /** Calls back with what people should know about it while it lives, and with null when that is over. */
  onNotice?(listener: (notice: string | null) => void): void;
  /** What has to be done before it can start at all, in a sentence for its row. */
  readonly preparation?: string | undefined;
  /** Resolves when that is done; only then the time for the start begins. */
  readonly prepared?: Promise<void> | undefined;
  /** Resolves when the model is loaded and warmed. */
  readonly ready: Promise<void>;
  /** What it says of itself when it is ready, if it says anything. */
  readonly runtime?: ReplicaRuntime | undefined;
  /** Asks whether it lives. Left out, or undefined in a process that has nobody to answer: not watched. Never rejects. */
  askLiveness?(timeoutMs: number): Promise<LivenessAnswer> | undefined;
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
  /** For all launches, whatever they say. */
  threads?: number | undefined;
  times?: Partial<ModelServerTimes> | undefined;
  /** The whole environment besides the server's own settings. Keys and database addresses have no place in it. */
  env?: Readonly<Record<string, string>> | undefined;
  onLine?: ((line: string, launch: ReplicaLaunch) => void) | undefined;
}

/** What a model server is told of time; it has defaults of its own. */
export interface ModelServerTimes {
  drainDeadlineSeconds: number;
  /** Its event loop must turn at least this often while no run is under way. */
  livenessSeconds: number;
  /** How long one run may take. */
  runLimitSeconds: number;
}

/** Starts model servers as child processes of this one; they end when their channel to it closes. */
export function modelServerSpawner(settings: ModelServerSpawnSettings): SpawnReplica {
  const { entryPath, env, onLine } = settings;
  return (launch) => {
    const child = spawn(process.execPath, [entryPath], {
      env: { ...env, ...serverEnv(settings, launch) },
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

function serverEnv({ threads, times = {} }: ModelServerSpawnSettings, launch: ReplicaLaunch): Record<string, string> {
  const seconds = {
    SLUICE_DRAIN_SECONDS: times.drainDeadlineSeconds,
    SLUICE_LIVENESS_SECONDS: times.livenessSeconds,
    SLUICE_RUN_LIMIT_SECONDS: times.runLimitSeconds,
  };
  const given = Object.entries(seconds).filter((entry): entry is [string, number] => entry[1] !== undefined);
  return {
    ...Object.fromEntries(given.map(([name, value]) => [name, String(value)])),
    SLUICE_MODEL_DIR: launch.artifactPath,
    SLUICE_SOCKET: launch.socketPath,
    SLUICE_LIVENESS_SOCKET: livenessPathOf(launch.socketPath),
    SLUICE_THREADS: String(threads ?? launch.threads),
  };
}

/** Beside the other one, and no longer than it. */
export const livenessPathOf = (socketPath: string): string => socketPath.replace(/\.sock$/, '.live');

interface ServerMessage {
  kind?: unknown;
  reason?: unknown;
  runtime?: ReplicaRuntime;
  livenessSocket?: unknown;
}

class ModelServerProcess implements ReplicaProcess {
  readonly ready: Promise<void>;
  readonly ended: Promise<string>;
  runtime: ReplicaRuntime | undefined;
  private failure: string | undefined;
  private livenessSocket: string | undefined;

  constructor(private readonly child: ChildProcess) {
    this.ready = new Promise((resolve) => {
      child.on('message', (message: ServerMessage) => {
        if (message?.kind === 'failed') this.failure = String(message.reason);
        if (message?.kind !== 'ready') return;
        this.runtime = message.runtime;
        if (typeof message.livenessSocket === 'string') this.livenessSocket = message.livenessSocket;
        resolve();
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

  askLiveness(timeoutMs: number): Promise<LivenessAnswer> | undefined {
    return this.livenessSocket === undefined ? undefined : askLiveness(this.livenessSocket, timeoutMs);
  }

  terminate(): void {
    this.child.kill('SIGTERM');
  }

  kill(): void {
    this.child.kill('SIGKILL');
  }
}

/** Asks `GET /v2/health/live` over a Unix socket: 200, or 503 with the reason. */
export function askLiveness(socketPath: string, timeoutMs: number): Promise<LivenessAnswer> {
  return new Promise((resolve) => {
    const silent = (): void => resolve({ state: 'silent' });
    const question = get({ socketPath, path: '/v2/health/live', agent: false, timeout: timeoutMs }, (answer) => {
      const chunks: Buffer[] = [];
      answer.on('data', (chunk: Buffer) => chunks.push(chunk));
      answer.on('error', silent);
      answer.on('end', () => {
        if (answer.statusCode === 200) return resolve({ state: 'live' });
        const reason = reasonIn(Buffer.concat(chunks).toString());
        resolve(reason === undefined ? { state: 'silent' } : { state: 'hung', reason });
      });
    });
    question.on('timeout', () => question.destroy(new Error('no answer in time')));
    question.on('error', silent);
  });
}

function reasonIn(text: string): string | undefined {
  try {
    const { reason } = JSON.parse(text) as { reason?: unknown };
    return typeof reason === 'string' ? reason : undefined;
  } catch {
    return undefined;
  }
}
