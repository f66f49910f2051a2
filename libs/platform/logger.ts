import { mebibytes } from '#libs/kernel';
import pino, { type Logger, type LoggerOptions } from 'pino';

export type { Logger };

export interface LoggerSettings {
  service: string;
  level: string;
  /** Unset: standard output. */
  file?: string;
}

/** Headers and fields that never reach a log line, wherever they hang. */
const secretPaths = [
  'authorization',
  '*.authorization',
  'headers.authorization',
  'req.headers.authorization',
  'key',
  'masterKey',
  'password',
  'databaseUrl',
  'databaseOwnerUrl',
];

/** One JSON line per event. Payload text is never logged: callers pass ids, sizes and codes. */
export function createLogger({ service, level, file }: LoggerSettings): Logger {
  const settings: LoggerOptions = {
    level,
    base: { service, pid: process.pid },
    timestamp: pino.stdTimeFunctions.isoTime,
    redact: { paths: secretPaths, censor: '[redacted]' },
    formatters: { level: (label) => ({ level: label }) },
  };
  const destination = pino.destination({
    dest: file ?? standardOutput,
    mkdir: true,
    sync: true,
    maxLength: mebibytes(1),
    mode: 0o640,
  });
  // A full disk costs log lines. Without a listener the failed write would end the process, and with it the serving.
  destination.on('error', () => undefined);
  return pino(settings, destination);
}

const standardOutput = 1;
