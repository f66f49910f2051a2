import type { Readable } from 'node:stream';
import { gunzipped } from './artifact-gunzip.js';
import { refused, shownName } from './artifact-refusal.js';
import type { ArtifactStaging, StagedFile } from './artifact-staging.js';
import { tarEvents, type TarEvent } from './artifact-tar.js';

const fileTypes = new Set(['File', 'OldFile', 'ContiguousFile']);
const forbiddenTypes: Readonly<Record<string, string>> = {
  Link: 'a hard link',
  SymbolicLink: 'a symbolic link',
  CharacterDevice: 'a device',
  BlockDevice: 'a device',
  FIFO: 'a named pipe',
};

/** Unpacks an archive into the staging folder, each entry only after it was found harmless. @throws SLU_ARTIFACT_* */
export async function unpackArchive(
  source: Readable,
  staging: ArtifactStaging,
  packing: 'tar.gz' | 'tar' = 'tar.gz',
): Promise<void> {
  let file: StagedFile | undefined;
  const unpacked = packing === 'tar' ? (source as AsyncIterable<Buffer>) : gunzipped(source, staging.limits);
  for await (const event of tarEvents(unpacked)) {
    if (event.kind === 'entry') file = await admit(event, staging);
    else if (event.kind === 'data') await file?.write(event.chunk);
    else {
      await file?.close();
      file = undefined;
    }
  }
}

async function admit(
  entry: Extract<TarEvent, { kind: 'entry' }>,
  staging: ArtifactStaging,
): Promise<StagedFile | undefined> {
  if (entry.type === 'Directory') {
    const folder = withoutDotSlash(entry.path).replace(/\/$/, '');
    if (folder !== '' && folder !== '.') staging.addFolder(folder);
    return undefined;
  }
  if (!fileTypes.has(entry.type)) {
    throw refused(`${shownName(entry.path)} is ${forbiddenTypes[entry.type] ?? 'neither a file nor a folder'}`);
  }
  const path = withoutDotSlash(entry.path);
  staging.admitFile(path, entry.bytes);
  return staging.openFile(path, entry.bytes);
}

// `tar czf x.tar.gz .` writes every name with this prefix.
const withoutDotSlash = (path: string): string => (path.startsWith('./') ? path.slice(2) : path);
