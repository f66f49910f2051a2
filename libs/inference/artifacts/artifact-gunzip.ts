import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { isSluiceError } from '#libs/kernel';
import type { ArtifactLimits } from './artifact-limits.js';
import { tooLarge, unreadable } from './artifact-refusal.js';

/** Tar adds headers and padding to the files' own bytes: a block or two for each entry. */
const bytesPerEntry = 2_048;

/**
 * Unpacks gzip while counting both sides. The source is left open when something is refused, so that an HTTP answer
 * can still be given on its connection.
 * @throws SLU_ARTIFACT_UNREADABLE, SLU_ARTIFACT_TOO_LARGE
 */
export async function* gunzipped(source: Readable, limits: ArtifactLimits): AsyncGenerator<Buffer, void, undefined> {
  let packedBytes = 0;
  let unpackedBytes = 0;
  async function* counted(): AsyncGenerator<Buffer, void, undefined> {
    for await (const chunk of source.iterator({ destroyOnReturn: false })) {
      packedBytes += (chunk as Buffer).length;
      yield chunk as Buffer;
    }
  }
  const gunzip = createGunzip();
  const feeding = pipeline(Readable.from(counted()), gunzip);
  // What goes wrong there comes out of the loop below as well; this only keeps it from being reported twice.
  feeding.catch(() => undefined);
  try {
    for await (const chunk of gunzip) {
      unpackedBytes += (chunk as Buffer).length;
      if (unpackedBytes > limits.totalBytes + limits.entries * bytesPerEntry) {
        throw tooLarge(`it unpacks to more than ${limits.totalBytes} bytes`);
      }
      if (unpackedBytes > limits.ratioFromBytes && unpackedBytes > packedBytes * limits.ratio) {
        throw tooLarge(`it unpacks to more than ${limits.ratio} times its size`);
      }
      yield chunk as Buffer;
    }
    await feeding;
  } catch (failure) {
    throw explained(failure);
  } finally {
    gunzip.destroy();
  }
  // zlib stops silently at zero bytes after the last member.
  if (gunzip.bytesWritten !== packedBytes) throw unreadable('there is something after the end of the gzip data');
}

function explained(failure: unknown): unknown {
  if (isSluiceError(failure)) return failure;
  const code = (failure as NodeJS.ErrnoException | undefined)?.code ?? '';
  if (code === 'Z_BUF_ERROR') return unreadable('the gzip data ends too early', failure);
  if (code.startsWith('Z_')) return unreadable('it is not gzip data, or it is damaged', failure);
  return unreadable('the upload broke off', failure);
}
