import { type ChildProcess, spawn } from 'node:child_process';
import path from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { gibibytes, messageOf } from '#libs/kernel';
import type { ReplicaRuntime } from '#libs/store';
import { type PythonEnvironments, type PythonFramework } from './python-environment.js';
import {
  askLiveness,
  type LivenessAnswer,
  type ModelServerTimes,
  type ReplicaLaunch,
  type ReplicaProcess,
  type SpawnReplica,
} from './replica-supervisor-process.js';

export type PythonFrameworkName = 'torch' | 'tensorflow';

export interface PythonServerSpawnSettings {
  framework: PythonFrameworkName;
  /** `apps/python-runtime` of the sources: Python is not compiled. */
  runtimeFolder: string;
  environments: PythonEnvironments;
  /** An interpreter that has the framework already; nothing is installed then. */
  interpreter?: string | undefined;
  times?: Partial<ModelServerTimes> | undefined;
  /** The whole environment besides the server's own settings. Keys and database addresses have no place in it. */
  env?: Readonly<Record<string, string>> | undefined;
  onLine?: ((line: string, launch: ReplicaLaunch) => void) | undefined;
}

/** The packages that `apps/python-runtime` needs for each framework. */
export function pythonFramework(name: PythonFrameworkName, runtimeFolder: string): PythonFramework {
  const file = (requirements: string): string => path.join(runtimeFolder, 'requirements', `${requirements}.txt`);
  if (name === 'tensorflow') return { name, requirements: [file(name)], pythons: [11, 13], roomBytes: gibibytes(3) };
  return {
    name,
    requirements: [file(name)],
    addition: { requirements: file('torch-cuda'), whenPresent: 'torch/lib/libtorch_cuda.so' },
    pythons: [11, 14],
    roomBytes: gibibytes(8),
  };
}

/**
 * Starts servers of `apps/python-runtime` as child processes of this one. The first one of a framework waits until its
 * environment is made; all of them end when their line to this process closes.
 */
export function pythonServerSpawner(settings: PythonServerSpawnSettings): SpawnReplica {
  const framework = pythonFramework(settings.framework, settings.runtimeFolder);
  return (launch) => {
    const known = settings.interpreter ?? settings.environments.find(framework);
    return new PythonServerProcess(settings, framework, launch, known);
  };
}

class PythonServerProcess implements ReplicaProcess {
  readonly preparation: string | undefined;
  readonly prepared: Promise<void> | undefined;
  readonly ready: Promise<void>;
  readonly ended: Promise<string>;
  runtime: ReplicaRuntime | undefined;
  private readonly giveUp = new AbortController();
  private child: ChildProcess | undefined;
  private becomeReady!: () => void;
  private end!: (reason: string) => void;
  private failure: string | undefined;

  /** @param interpreter undefined when the environment has to be made first */
  constructor(
    private readonly settings: PythonServerSpawnSettings,
    framework: PythonFramework,
    private readonly launch: ReplicaLaunch,
    interpreter: string | undefined,
  ) {
    this.ready = new Promise((resolve) => (this.becomeReady = resolve));
    this.ended = new Promise((resolve) => (this.end = resolve));
    if (interpreter !== undefined) {
      this.start(interpreter);
      return;
    }
    this.preparation = `its Python environment for ${framework.name} is being made, which happens once and takes minutes`;
    this.prepared = this.prepare(framework);
  }

  get pid(): number | undefined {
    return this.child?.pid;
  }

  /** Its health is answered beside the runs, on the same socket. */
  askLiveness(timeoutMs: number): Promise<LivenessAnswer> {
    return askLiveness(this.launch.socketPath, timeoutMs);
  }

  terminate(): void {
    this.giveUp.abort();
    this.child?.kill('SIGTERM');
  }

  kill(): void {
    this.giveUp.abort();
    this.child?.kill('SIGKILL');
  }

  private async prepare(framework: PythonFramework): Promise<void> {
    const { environments, onLine } = this.settings;
    try {
      const say = (line: string): void => onLine?.(line, this.launch);
      const interpreter = await environments.make(framework, this.giveUp.signal, say);
      this.giveUp.signal.throwIfAborted();
      this.start(interpreter);
    } catch (error) {
      if (this.giveUp.signal.aborted) return this.end('was stopped while its Python environment was made');
      this.end(messageOf(error));
    }
  }

  private start(interpreter: string): void {
    const { runtimeFolder, env, times = {} } = this.settings;
    const { drainDeadlineSeconds: drainSeconds, runLimitSeconds } = times;
    const child = spawn(interpreter, [path.join(runtimeFolder, 'main.py')], {
      env: {
        ...env,
        SLUICE_MODEL_DIR: this.launch.artifactPath,
        SLUICE_SOCKET: this.launch.socketPath,
        SLUICE_THREADS: String(this.launch.threads),
        ...(drainSeconds !== undefined && { SLUICE_DRAIN_SECONDS: String(drainSeconds) }),
        ...(runLimitSeconds !== undefined && { SLUICE_RUN_LIMIT_SECONDS: String(runLimitSeconds) }),
        SLUICE_PARENT_FD: String(parentLine),
        PYTHONUNBUFFERED: '1',
      },
      // Node's own channel between processes is for Node alone; a pipe of ours is what its documentation offers others.
      stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
    });
    this.child = child;
    for (const stream of [child.stdout, child.stderr]) {
      // Read even when nobody listens: a full pipe would block the child.
      if (stream !== null)
        createInterface({ input: stream }).on('line', (line) => this.settings.onLine?.(line, this.launch));
    }
    const line = child.stdio[parentLine] as Readable;
    line.on('error', () => undefined);
    createInterface({ input: line }).on('line', (text) => this.hear(text));
    child.on('error', (error) => {
      // Without a pid it never started, and no exit follows.
      if (child.pid === undefined) this.end(`could not be started: ${error.message}`);
    });
    // Closed and not only exited: what it said last has been read then.
    child.on('close', (code, signal) =>
      this.end(this.failure ?? (signal === null ? `exited with code ${code}` : `was ended by ${signal}`)),
    );
  }

  private hear(text: string): void {
    const message = messageIn(text);
    if (message?.kind === 'failed') this.failure = String(message.reason);
    if (message?.kind !== 'ready') return;
    this.runtime = message.runtime;
    this.becomeReady();
  }
}

const parentLine = 3;

interface ServerMessage {
  kind?: unknown;
  reason?: unknown;
  runtime?: ReplicaRuntime;
}

function messageIn(text: string): ServerMessage | undefined {
  try {
    return JSON.parse(text) as ServerMessage;
  } catch {
    return undefined;
  }
}
