import { refused, shownName } from './artifact-refusal.js';

export const manifestFileName = 'sluice.json';

const longestPath = 512;
const longestSegment = 255;
const deepest = 16;

/**
 * What a relative path inside an artifact must be: plain segments between single slashes. Everything that some file
 * system, shell or archiver reads differently is refused, not repaired.
 * @returns why it is refused, or undefined
 */
export function pathProblem(path: string): string | undefined {
  if (path === '') return 'is empty';
  if (path.length > longestPath) return `is longer than ${longestPath} characters`;
  // U+FFFD stands for bytes that were no UTF-8: two different names could look the same.
  // eslint-disable-next-line no-control-regex
  if (/[\u0000-\u001f\u007f\ufffd]/.test(path) || !path.isWellFormed())
    return 'has characters that no file name should have';
  if (path.includes('\\')) return 'has a backslash';
  if (path.startsWith('/') || /^[A-Za-z]:/.test(path)) return 'is absolute';
  const segments = path.split('/');
  if (segments.length > deepest) return `is more than ${deepest} folders deep`;
  if (segments.includes('')) return 'has an empty segment';
  if (segments.includes('..') || segments.includes('.')) return 'leaves the artifact by . or ..';
  if (segments.some((segment) => Buffer.byteLength(segment) > longestSegment)) return 'has a name that is too long';
  return undefined;
}

/** @throws SLU_ARTIFACT_REFUSED naming the path */
export function checkPath(path: string): void {
  const problem = pathProblem(path);
  if (problem !== undefined) throw refused(`the path ${shownName(path)} ${problem}`);
}

/** Names that a case-insensitive or normalising file system takes for one and the same. */
const foldCase = (path: string): string => path.normalize('NFC').toLowerCase();

/** Keeps the paths of one artifact apart: no path twice, none that differ in case only, none that is file and folder. */
export class PathRegister {
  private readonly files = new Map<string, string>();
  private readonly folders = new Map<string, string>();

  /** @throws SLU_ARTIFACT_REFUSED */
  addFile(path: string): void {
    const folded = foldCase(path);
    const same = this.files.get(folded);
    if (same === path) throw refused(`the file ${shownName(path)} appears twice`);
    if (same !== undefined) throw refused(`the files ${shownName(same)} and ${shownName(path)} differ in case only`);
    if (this.folders.has(folded)) throw refused(`${shownName(path)} is a file and a folder`);
    const cut = path.lastIndexOf('/');
    if (cut > 0) this.addFolder(path.slice(0, cut));
    this.files.set(folded, path);
  }

  /** @throws SLU_ARTIFACT_REFUSED */
  addFolder(path: string): void {
    const segments = path.split('/');
    for (let depth = 1; depth <= segments.length; depth += 1) {
      const folder = segments.slice(0, depth).join('/');
      const folded = foldCase(folder);
      const same = this.folders.get(folded);
      if (same !== undefined && same !== folder) {
        throw refused(`the folders ${shownName(same)} and ${shownName(folder)} differ in case only`);
      }
      if (this.files.has(folded)) throw refused(`${shownName(folder)} is a file and a folder`);
      this.folders.set(folded, folder);
    }
  }
}
