import { sluiceError, type SluiceError } from '#libs/kernel';
import type { Logger } from '#libs/platform';

/** How the process was started, as far as the trace and logging extensions tell of it. */
export interface ServerSettingsView {
  /** Share of new traces that are sampled; undefined: nothing is traced. */
  traceSampling: number | undefined;
  isLevelEnabled(level: 'info' | 'warn' | 'error' | 'trace'): boolean;
}

export const settingsView = (log: Logger, traceSampling: number | undefined): ServerSettingsView => ({
  traceSampling,
  isLevelEnabled: (level) => log.isLevelEnabled(level),
});

/** As the trace extension has it: all values are texts or lists of them. */
export function traceSettings({ traceSampling: sampling }: ServerSettingsView): Record<string, string | string[]> {
  if (sampling === undefined || sampling <= 0)
    return { trace_level: ['OFF'], trace_rate: '0', trace_mode: 'opentelemetry' };
  return { trace_level: ['TIMESTAMPS'], trace_rate: String(Math.round(1 / sampling)), trace_mode: 'opentelemetry' };
}

export const logSettings = (settings: ServerSettingsView): Record<string, string | boolean | number> => ({
  log_file: '',
  log_info: settings.isLevelEnabled('info'),
  log_warning: settings.isLevelEnabled('warn'),
  log_error: settings.isLevelEnabled('error'),
  log_verbose_level: settings.isLevelEnabled('trace') ? 1 : 0,
  log_format: 'json',
});

const unimplemented = (what: string): SluiceError => sluiceError('SLU_REQUEST_UNIMPLEMENTED', { what });

/** What the protocol's extensions know and this server does not do, with what to do instead. */
export const notHere = {
  trace: () =>
    unimplemented(
      'trace settings are read only: set OTEL_EXPORTER_OTLP_ENDPOINT and SLUICE_TRACE_SAMPLING, start again',
    ),
  log: () => unimplemented('log settings are read only: set SLUICE_LOG_LEVEL and start again'),
  sharedMemory: () =>
    unimplemented(
      'shared memory is not supported: the server reads and writes no memory but its own; send tensors in binary',
    ),
};
