import { sluiceError, type SluiceError } from '#libs/kernel';
import { constants, createGunzip, createInflate, deflate, gzip, type Gunzip, type Inflate } from 'node:zlib';

export type Inflater = Gunzip | Inflate;
export type BodyCoding = 'gzip' | 'deflate';

const chunkSize = 65_536;
/** Below this an answer fits one packet of most networks as it is. */
const compressedFromBytes = 1_024;

/**
 * What unpacks a request body; undefined for a plain one.
 * @param encoding the Content-Encoding header
 * @throws SLU_REQUEST_MEDIA_TYPE for any coding but gzip and deflate (RFC 9110: zlib's format)
 */
export function inflaterFor(encoding: string | undefined): Inflater | undefined {
  if (encoding === undefined) return undefined;
  switch (encoding.trim().toLowerCase()) {
    case 'identity':
    case '':
      return undefined;
    case 'gzip':
    case 'x-gzip':
      return createGunzip({ chunkSize });
    case 'deflate':
      return createInflate({ chunkSize });
    default:
      throw sluiceError('SLU_REQUEST_MEDIA_TYPE', {
        given: `with content encoding ${encoding.slice(0, 50)}`,
        wanted: 'application/json plain, or compressed with gzip or deflate',
      });
  }
}

export const notInflatable = (encoding: string, cause: Error): SluiceError =>
  sluiceError(
    'SLU_REQUEST_MALFORMED',
    { what: `the body is not valid ${encoding.trim().slice(0, 20)}, as Content-Encoding says it is` },
    { cause },
  );

/** The coding that the caller likes best of those that there are; undefined when it asks for none, or for a small body. */
export function answerCoding(acceptEncoding: string | undefined, bytes: number): BodyCoding | undefined {
  if (acceptEncoding === undefined || bytes < compressedFromBytes) return undefined;
  let best: BodyCoding | undefined;
  let bestQuality = 0;
  for (const part of acceptEncoding.toLowerCase().split(',')) {
    const [name, ...parameters] = part.split(';').map((text) => text.trim());
    if (name !== 'gzip' && name !== 'deflate') continue;
    const stated = parameters.find((parameter) => parameter.startsWith('q='));
    const quality = stated === undefined ? 1 : Number(stated.slice(2));
    if (!(quality > 0) || quality < bestQuality || (quality === bestQuality && name !== 'gzip')) continue;
    best = name;
    bestQuality = quality;
  }
  return best;
}

/** Compresses on another thread, for speed rather than for size. */
export function compressed(coding: BodyCoding, body: string | Buffer): Promise<Buffer> {
  const work = coding === 'gzip' ? gzip : deflate;
  return new Promise((resolve, reject) => {
    work(body, { level: constants.Z_BEST_SPEED, chunkSize }, (error, bytes) =>
      error === null ? resolve(bytes) : reject(error),
    );
  });
}
