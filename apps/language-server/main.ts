import { LanguageLoadFailure, LanguageModel, listenOnSocket } from '#libs/inference/adapters/llama';
import { secondsToMs } from '#libs/kernel';
import { LanguageHttp } from './language-http.js';

/** How this process ends, for whoever started it. */
const exitCodes = { done: 0, failure: 1, wrongSettings: 2, loadFailure: 3 } as const;

/** Whoever drains this process ends it after 30 s. What is not done shortly before that is told so. */
const drainDeadlineMs = secondsToMs(28);
const exitDeadlineMs = secondsToMs(29.5);
const defaultStallMs = secondsToMs(20);

const tellParent = (message: Record<string, unknown>): void => {
  if (process.connected) process.send?.(message, undefined, undefined, () => undefined);
};

/** Tells the parent (and the log) why, and ends the process as soon as that is on its way. */
function fail(reason: string, exitCode: number): void {
  process.stderr.write(`${reason}\n`);
  const exit = (): never => process.exit(exitCode);
  if (!process.connected) return exit();
  process.send?.({ kind: 'failed', reason }, undefined, undefined, exit);
}

interface LanguageServerSettings {
  folder: string;
  socketPath: string;
  threads: number;
  stallMs: number;
}

function readSettings(env: NodeJS.ProcessEnv): LanguageServerSettings | string {
  const { SLUICE_MODEL_DIR: folder, SLUICE_SOCKET: socketPath, SLUICE_THREADS: threadsText = '1' } = env;
  if (folder === undefined || folder === '') return 'SLUICE_MODEL_DIR: name the folder with sluice.json';
  if (socketPath === undefined || socketPath === '') return 'SLUICE_SOCKET: name the path of the Unix socket';
  const threads = Number(threadsText);
  if (!Number.isInteger(threads) || threads < 1 || threads > 256)
    return 'SLUICE_THREADS: must be a whole number from 1 to 256';
  const stallMs = Number(env['SLUICE_STALL_MS'] ?? defaultStallMs);
  if (!Number.isInteger(stallMs) || stallMs < 1) return 'SLUICE_STALL_MS: must be a whole number of milliseconds';
  return { folder, socketPath, threads, stallMs };
}

async function main(): Promise<void> {
  const settings = readSettings(process.env);
  if (typeof settings === 'string') return fail(settings, exitCodes.wrongSettings);
  const http = new LanguageHttp({ version: process.env['SLUICE_VERSION'] ?? '0', stallMs: settings.stallMs });
  let model: LanguageModel | undefined;

  let isStopping = false;
  const stop = (): void => {
    if (isStopping) return;
    isStopping = true;
    setTimeout(() => void model?.endAnswers(), drainDeadlineMs).unref();
    setTimeout(() => process.exit(exitCodes.failure), exitDeadlineMs).unref();
    void http.drain().finally(() => process.exit(exitCodes.done));
  };
  process.on('SIGTERM', stop);
  // Ctrl-C reaches every process of a terminal at once; with a parent, it is the parent that decides who ends when.
  process.on('SIGINT', () => {
    if (!process.connected) stop();
  });
  // Without its parent nobody would ever stop this process.
  process.on('disconnect', stop);

  try {
    await listenOnSocket(http.server, settings.socketPath);
  } catch (error) {
    return fail(`cannot listen on ${settings.socketPath}: ${messageOf(error)}`, exitCodes.wrongSettings);
  }
  try {
    model = await LanguageModel.load(settings);
    http.serve(model);
    const residentMiB = Math.round(process.memoryUsage().rss / 1_024 ** 2);
    process.stdout.write(`${model.description}, ${settings.threads} threads, ${residentMiB} MiB resident\n`);
    tellParent({ kind: 'ready' });
  } catch (error) {
    fail(messageOf(error), error instanceof LanguageLoadFailure ? exitCodes.loadFailure : exitCodes.failure);
  }
}

const messageOf = (failure: unknown): string => (failure instanceof Error ? failure.message : String(failure));

await main();
