import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { ProgressMark } from './progress-mark.js';
import type { LivenessThreadSettings } from './liveness-thread.js';

export interface LivenessSettings {
  /** The Unix socket at which `GET /v2/health/live` is answered, also while a run blocks the serving thread. */
  socketPath: string;
  /** Without a run under way, the event loop must turn at least this often. */
  silenceLimitMs: number;
  /** How long one run may take. */
  runLimitMs: number;
}

const beatEveryMs = 250;
/** It holds a small HTTP server and nothing else; that is still about 11 MiB. */
const threadMemory = { maxOldGenerationSizeMb: 16, maxYoungGenerationSizeMb: 2, stackSizeMb: 1 };

/**
 * Starts the thread that says whether this process is alive. A run blocks the serving thread for as long as it takes, so
 * that one cannot answer for itself; the mark tells a long run from a hang.
 */
export async function startLiveness(mark: ProgressMark, settings: LivenessSettings): Promise<void> {
  mark.beat();
  setInterval(() => mark.beat(), beatEveryMs).unref();
  const workerData: LivenessThreadSettings = { ...settings, memory: mark.memory };
  const thread = new Worker(new URL('./liveness-thread.js', import.meta.url), {
    workerData,
    resourceLimits: threadMemory,
    // The options of this process are for its serving thread.
    execArgv: [],
    env: {},
  });
  await once(thread, 'message');
  // A process whose liveness nobody can ask for any more is replaced by whoever asks; it need not go down here.
  thread.on('error', (error) => process.stderr.write(`the liveness thread ended: ${error.message}\n`));
  thread.unref();
}
