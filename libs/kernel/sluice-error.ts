import { errorTable, type ErrorCode } from './error-table.js';

export type ErrorDetail = Readonly<Record<string, string | number | boolean>>;

/** An error of the closed table. `message` is safe to show; the private reason hangs on `cause` and goes to the log. */
export class SluiceError extends Error {
  override readonly name = 'SluiceError';

  constructor(
    readonly code: ErrorCode,
    readonly detail: ErrorDetail,
    options?: { cause?: unknown; retryAfterSeconds?: number },
  ) {
    super(publicText(code, detail), options?.cause === undefined ? undefined : { cause: options.cause });
    this.retryAfterSeconds = options?.retryAfterSeconds;
  }

  readonly retryAfterSeconds: number | undefined;

  get status(): number {
    return errorTable[this.code].status;
  }
}

export function sluiceError(
  code: ErrorCode,
  detail: ErrorDetail = {},
  options?: { cause?: unknown; retryAfterSeconds?: number },
): SluiceError {
  return new SluiceError(code, detail, options);
}

export const isSluiceError = (value: unknown): value is SluiceError => value instanceof SluiceError;

function publicText(code: ErrorCode, detail: ErrorDetail): string {
  return errorTable[code].text.replace(/\{(\w+)\}/g, (_place, field: string) => String(detail[field] ?? '?'));
}
