import { sluiceError, type SluiceError } from '#libs/kernel';

/** The container itself (gzip, tar, folder) cannot be read. */
export const unreadable = (problem: string, cause?: unknown): SluiceError =>
  sluiceError('SLU_ARTIFACT_UNREADABLE', { problem }, { cause });

/** It can be read, and what it holds is not acceptable. */
export const refused = (problem: string): SluiceError => sluiceError('SLU_ARTIFACT_REFUSED', { problem });

export const tooLarge = (problem: string): SluiceError => sluiceError('SLU_ARTIFACT_TOO_LARGE', { problem });

const longestShownName = 120;

/** A file's name as it may be shown: what an attacker writes into it stays visible and harmless. */
export function shownName(path: string): string {
  const quoted = JSON.stringify(path).slice(1, -1);
  return quoted.length <= longestShownName ? quoted : `${quoted.slice(0, longestShownName)}...`;
}

const fullCodes = new Set(['ENOSPC', 'EDQUOT', 'EFBIG']);

/** A disk without room is the operator's matter and has its own code; anything else passes unchanged. */
export function orStoreFull(failure: unknown): unknown {
  const code = (failure as NodeJS.ErrnoException | undefined)?.code;
  return code !== undefined && fullCodes.has(code)
    ? sluiceError('SLU_ARTIFACT_STORE_FULL', {}, { cause: failure })
    : failure;
}
