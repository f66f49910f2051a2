import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { isSluiceError, secondsToMs } from '#libs/kernel';
import { unpackArchive } from './artifact-archive.js';
import type { ArtifactLimits } from './artifact-limits.js';
import { refused, shownName, tooLarge } from './artifact-refusal.js';
import { sourceFailed } from './artifact-sources.js';
import type { ArtifactStaging } from './artifact-staging.js';

export interface Download {
  /** Whoever stages it also ends it. */
  body: Readable;
  /** As announced before the body; another length is an error. */
  bytes: number;
  /** Of the body as it comes, 64 hex digits; not checked when left out. */
  sha256?: string | undefined;
  /** How people know it. */
  shownAs: string;
}

/** Tar adds headers and padding to the files' own bytes: a block or two for each entry. */
const tarBytesPerEntry = 2_048;

/** Writes one downloaded file into the staging folder. @throws SLU_ARTIFACT_* */
export async function stageFile(download: Download, path: string, staging: ArtifactStaging): Promise<void> {
  try {
    staging.admitFile(path, download.bytes);
    const file = await staging.openFile(path, download.bytes);
    for await (const chunk of checked(download, staging.limits)) await file.write(chunk);
    await file.close();
  } finally {
    release(download.body);
  }
}

/** Unpacks a downloaded tar archive. @throws SLU_ARTIFACT_* */
export async function stageTar(download: Download, packing: 'tar.gz' | 'tar', staging: ArtifactStaging): Promise<void> {
  const { limits } = staging;
  const source = Readable.from(checked(download, limits));
  try {
    if (download.bytes > limits.totalBytes + limits.entries * tarBytesPerEntry)
      throw tooLarge(`${shownName(download.shownAs)} has more than ${limits.totalBytes} bytes`);
    await unpackArchive(source, staging, packing);
    // What was never asked for is not proven yet.
    for await (const _rest of source.iterator({ destroyOnReturn: false })) continue;
  } finally {
    source.destroy();
    release(download.body);
  }
}

/** Ends a body that may not have been read, and takes what it says about that. */
export function release(body: Readable): void {
  body.on('error', () => undefined);
  body.destroy();
}

/** Its bytes, and at the end the proof that they are the ones announced. */
async function* checked(download: Download, limits: ArtifactLimits): AsyncGenerator<Buffer, void, undefined> {
  const { bytes, sha256, shownAs } = download;
  const hash = createHash('sha256');
  let read = 0;
  for await (const chunk of inTime(download, limits)) {
    read += chunk.length;
    if (read > bytes) throw refused(`${shownName(shownAs)} is longer than the ${bytes} bytes announced`);
    hash.update(chunk);
    yield chunk;
  }
  if (read < bytes) throw sourceFailed(`${shownName(shownAs)} ended after ${read} of ${bytes} bytes`);
  const found = hash.digest('hex');
  if (sha256 !== undefined && sha256 !== found)
    throw refused(`${shownName(shownAs)} has sha256 ${found}, not the ${sha256} stated`);
}

/** Counts only the time that the other side takes, not ours on the disk. */
async function* inTime({ body, shownAs }: Download, limits: ArtifactLimits): AsyncGenerator<Buffer, void, undefined> {
  const iterator = body[Symbol.asyncIterator]();
  let waitedMs = 0;
  let read = 0;
  try {
    for (;;) {
      const startedMs = performance.now();
      const allowedSeconds = limits.patienceSeconds + read / limits.slowestBytesPerSecond;
      const next = await within(secondsToMs(allowedSeconds) - waitedMs, iterator.next(), shownAs);
      waitedMs += performance.now() - startedMs;
      if (next.done === true) return;
      read += next.value.length;
      yield Buffer.from(next.value.buffer, next.value.byteOffset, next.value.byteLength);
    }
  } finally {
    // Not waited for: a body that does not come would keep us here.
    void iterator.return?.().then(undefined, () => undefined);
  }
}

async function within<T>(allowedMs: number, work: Promise<T>, shownAs: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const tooSlow = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(sourceFailed(`${shownName(shownAs)} comes too slowly`)), Math.max(0, allowedMs));
  });
  try {
    return await Promise.race([work, tooSlow]);
  } catch (failure) {
    throw isSluiceError(failure) ? failure : sourceFailed(`${shownName(shownAs)} broke off`, failure);
  } finally {
    clearTimeout(timer);
  }
}
