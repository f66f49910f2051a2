import type { Logger } from '#libs/platform';
import { DefaultLogger, makeTelemetryFilterString, Runtime, type LogEntry } from '@temporalio/worker';

/** Temporal's native core: its lines go to this process's log, and its signal handling is left to the app. */
export function installRuntime(logger: Logger): void {
  const child = logger.child({ component: 'temporal' });
  Runtime.install({
    shutdownSignals: [],
    logger: new DefaultLogger('INFO', (entry) => write(child, entry)),
    telemetryOptions: {
      logging: { forward: {}, filter: makeTelemetryFilterString({ core: 'ERROR', other: 'ERROR' }) },
    },
  });
}

function write(logger: Logger, { level, message, meta }: LogEntry): void {
  // An error in the meta would be written as an empty object under any other name.
  const { error, ...rest } = (meta ?? {}) as Record<string, unknown>;
  const fields = error === undefined ? rest : { ...rest, err: error };
  switch (level) {
    case 'ERROR':
      return logger.error(fields, message);
    case 'WARN':
      return logger.warn(fields, message);
    case 'TRACE':
    case 'DEBUG':
    case 'INFO':
      return logger.debug(fields, message);
  }
}
