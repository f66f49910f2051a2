import { mebibytes } from '#libs/kernel';
import { appendFileSync, mkdirSync, renameSync, statSync } from 'node:fs';
import { dirname } from 'node:path';

const limitBytes = mebibytes(16);

/** Appends what a program of others says. Beyond its limit the file becomes `<file>.1`, so two of that size remain. */
export function serviceLog(file: string): (line: string) => void {
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  return (line) => {
    try {
      if ((statSync(file, { throwIfNoEntry: false })?.size ?? 0) > limitBytes) renameSync(file, `${file}.1`);
      appendFileSync(file, `${line}\n`, { mode: 0o640 });
    } catch {
      // A full disk must not end the process that writes; these words are lost until there is room.
    }
  };
}
