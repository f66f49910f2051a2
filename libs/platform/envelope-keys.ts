import { sluiceError } from '#libs/kernel';
import { readFileSync } from 'node:fs';

/**
 * The master keys of envelope encryption: from a text (separated by commas) or a file (one per line), the current one first.
 * @returns none when neither is given @throws SLU_PLATFORM_SETTING, which never quotes a key
 */
export function envelopeKeysOf(text: string | undefined, file: string | undefined): Buffer[] {
  if (text !== undefined && file !== undefined)
    throw sluiceError('SLU_PLATFORM_SETTING', {
      name: 'SLUICE_ENVELOPE_KEYS',
      problem: 'is set beside SLUICE_ENVELOPE_KEYS_FILE: leave one of them out',
    });
  const name = file === undefined ? 'SLUICE_ENVELOPE_KEYS' : 'SLUICE_ENVELOPE_KEYS_FILE';
  const content = file === undefined ? text : readKeys(file);
  const given = content?.split(/[,\s]+/).filter(Boolean) ?? [];
  if (content !== undefined && given.length === 0)
    throw sluiceError('SLU_PLATFORM_SETTING', { name, problem: 'has no key in it' });
  return given.map((key, index) => {
    if (!/^[0-9a-fA-F]{64}$/.test(key))
      throw sluiceError('SLU_PLATFORM_SETTING', { name, problem: `key ${index + 1} is not 64 hex digits (32 bytes)` });
    return Buffer.from(key, 'hex');
  });
}

function readKeys(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    const problem = `cannot be read: ${(cause as NodeJS.ErrnoException).code ?? 'unknown'}`;
    throw sluiceError('SLU_PLATFORM_SETTING', { name: 'SLUICE_ENVELOPE_KEYS_FILE', problem }, { cause });
  }
}
