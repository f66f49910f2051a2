import { days, secondsToMs } from '#libs/kernel';
import type { LivenessSettings } from './liveness.js';

export interface ModelServerSettings {
  /** Holds `sluice.json` and the files that it names. */
  folder: string;
  socketPath: string;
  threads: number;
  drainDeadlineMs: number;
  /** Unset: nobody asks from outside whether this process is alive. */
  liveness: LivenessSettings | undefined;
}

/** Its message names the variable and what is wrong with it. */
export class WrongSetting extends Error {
  override readonly name = 'WrongSetting';
}

/** @throws WrongSetting */
export function readSettings(env: NodeJS.ProcessEnv): ModelServerSettings {
  const { SLUICE_LIVENESS_SOCKET: livenessPath = '' } = env;
  const silenceLimitMs = milliseconds(env, 'SLUICE_LIVENESS_SECONDS', 20);
  const runLimitMs = milliseconds(env, 'SLUICE_RUN_LIMIT_SECONDS', 120);
  return {
    folder: text(env, 'SLUICE_MODEL_DIR', 'name the folder with sluice.json'),
    socketPath: text(env, 'SLUICE_SOCKET', 'name the path of the Unix socket'),
    threads: wholeNumber(env, 'SLUICE_THREADS', 1, mostThreads),
    drainDeadlineMs: milliseconds(env, 'SLUICE_DRAIN_SECONDS', 30),
    liveness: livenessPath === '' ? undefined : { socketPath: livenessPath, silenceLimitMs, runLimitMs },
  };
}

const mostThreads = 256;

function text(env: NodeJS.ProcessEnv, name: string, remedy: string): string {
  const value = env[name] ?? '';
  if (value === '') throw new WrongSetting(`${name}: ${remedy}`);
  return value;
}

const milliseconds = (env: NodeJS.ProcessEnv, name: string, secondsByDefault: number): number =>
  secondsToMs(wholeNumber(env, name, secondsByDefault, days(1)));

function wholeNumber(env: NodeJS.ProcessEnv, name: string, byDefault: number, most: number): number {
  const value = Number(env[name] ?? byDefault);
  if (Number.isInteger(value) && value >= 1 && value <= most) return value;
  throw new WrongSetting(`${name}: must be a whole number from 1 to ${most}`);
}
