import {
  exitCodes,
  failProcess,
  LanguageLoadFailure,
  LanguageModel,
  listenOnSocket,
  onProcessEnd,
  tellParent,
} from '#libs/inference/adapters/llama';
import { messageOf, secondsToMs } from '#libs/kernel';
import { LanguageHttp } from './language-http.js';
import { startLiveness } from './liveness.js';

/** Whoever drains this process ends it at its deadline. What is not done shortly before that is told so. */
const lastWordsMs = secondsToMs(2);
const defaultStallMs = secondsToMs(20);

interface LanguageServerSettings {
  folder: string;
  socketPath: string;
  /** Unset: nobody asks from outside whether this process is alive. */
  livenessPath: string | undefined;
  threads: number;
  drainDeadlineMs: number;
  runLimitMs: number;
  stallMs: number;
}

/** The whole numbers among the settings, with their defaults and the largest value of each. */
const numbers = {
  SLUICE_THREADS: [1, 256],
  SLUICE_DRAIN_SECONDS: [30, 86_400],
  SLUICE_RUN_LIMIT_SECONDS: [120, 86_400],
  SLUICE_STALL_MS: [defaultStallMs, 3_600_000],
} as const;

function readSettings(env: NodeJS.ProcessEnv): LanguageServerSettings | string {
  const { SLUICE_MODEL_DIR: folder, SLUICE_SOCKET: socketPath } = env;
  if (folder === undefined || folder === '') return 'SLUICE_MODEL_DIR: name the folder with sluice.json';
  if (socketPath === undefined || socketPath === '') return 'SLUICE_SOCKET: name the path of the Unix socket';
  const wrong = Object.entries(numbers).find(([name, [byDefault, most]]) => {
    const value = Number(env[name] ?? byDefault);
    return !Number.isInteger(value) || value < 1 || value > most;
  });
  if (wrong !== undefined) return `${wrong[0]}: must be a whole number from 1 to ${wrong[1][1]}`;
  const valueOf = (name: keyof typeof numbers): number => Number(env[name] ?? numbers[name][0]);
  return {
    folder,
    socketPath,
    livenessPath: env['SLUICE_LIVENESS_SOCKET'] || undefined,
    threads: valueOf('SLUICE_THREADS'),
    drainDeadlineMs: secondsToMs(valueOf('SLUICE_DRAIN_SECONDS')),
    runLimitMs: secondsToMs(valueOf('SLUICE_RUN_LIMIT_SECONDS')),
    stallMs: valueOf('SLUICE_STALL_MS'),
  };
}

async function main(): Promise<void> {
  const settings = readSettings(process.env);
  if (typeof settings === 'string') return failProcess(settings, exitCodes.wrongSettings);
  const http = new LanguageHttp({ version: process.env['SLUICE_VERSION'] ?? '0', stallMs: settings.stallMs });
  let model: LanguageModel | undefined;

  onProcessEnd(() => {
    const { drainDeadlineMs } = settings;
    setTimeout(() => void model?.endAnswers(), Math.max(0, drainDeadlineMs - lastWordsMs)).unref();
    setTimeout(() => process.exit(exitCodes.failure), drainDeadlineMs).unref();
    void http.drain().finally(() => process.exit(exitCodes.done));
  });

  try {
    await listenOnSocket(http.server, settings.socketPath);
  } catch (error) {
    return failProcess(`cannot listen on ${settings.socketPath}: ${messageOf(error)}`, exitCodes.wrongSettings);
  }
  try {
    model = await LanguageModel.load(settings);
    const { livenessPath, runLimitMs } = settings;
    const { stepMs } = model;
    if (livenessPath !== undefined) await startLiveness({ socketPath: livenessPath, runLimitMs, stepMs });
    http.serve(model);
    const residentMiB = Math.round(process.memoryUsage().rss / 1_024 ** 2);
    process.stdout.write(`${model.description}, ${settings.threads} threads, ${residentMiB} MiB resident\n`);
    const runtime = { providers: model.providers, threads: settings.threads, fallbacks: [] };
    tellParent({ kind: 'ready', runtime, livenessSocket: livenessPath });
  } catch (error) {
    failProcess(messageOf(error), error instanceof LanguageLoadFailure ? exitCodes.loadFailure : exitCodes.failure);
  }
}

await main();
