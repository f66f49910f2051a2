import { gibibytes, isSluiceError, sluiceError } from '#libs/kernel';
import { Busboy } from '@fastify/busboy';
import type { FastifyRequest } from 'fastify';
import { pipeline, Readable } from 'node:stream';
import { mediaType } from '../http/problem.js';

/** Packed; the artifact store has limits of its own for what is in it. */
const formFileLimitBytes = gibibytes(64);

/** Hands the request's archive to `use` as a stream, whether it is the raw body or a file of a form. */
export async function withArchive<T>(req: FastifyRequest, use: (archive: Readable) => Promise<T>): Promise<T> {
  const archive = await archiveOf(req);
  try {
    return await use(archive);
  } catch (failure) {
    if (isSluiceError(failure)) discard(req, archive);
    throw failure;
  }
}

async function archiveOf(req: FastifyRequest): Promise<Readable> {
  if (!(req.body instanceof Readable)) throw mediaType(req);
  return isForm(req) ? firstFile(req, req.body) : req.body;
}

const isForm = (req: FastifyRequest): boolean => /^multipart\/form-data\b/i.test(req.headers['content-type'] ?? '');

/** The first file of a form, as a stream that fails when the form is cut off or its file is too large. */
function firstFile(req: FastifyRequest, body: Readable): Promise<Readable> {
  return new Promise((resolve, reject) => {
    const form = formReader(req);
    if (form === undefined) {
      reject(mediaType(req));
      return;
    }
    let archive: Readable | undefined;
    form.on('file', (_field: string, file: Readable) => {
      archive = file;
      file.on('limit', () => file.destroy(sluiceError('SLU_ARTIFACT_TOO_LARGE', { problem: 'the uploaded file' })));
      resolve(file);
    });
    pipeline(body, form, (failure: Error | null | undefined) => {
      if (failure) archive?.destroy(failure);
      // Without a file so far there will be none.
      if (archive === undefined) reject(mediaType(req));
    });
  });
}

function formReader(req: FastifyRequest): InstanceType<typeof Busboy> | undefined {
  const limits = { files: 1, fields: 0, parts: 1, headerPairs: 50, fileSize: formFileLimitBytes };
  try {
    return new Busboy({ headers: { ...req.headers, 'content-type': req.headers['content-type'] ?? '' }, limits });
  } catch {
    return undefined;
  }
}

// A client that writes everything before it reads would never see the answer to a refused upload: the rest of it is
// read and forgotten. The server's time limit for a request ends that.
function discard(req: FastifyRequest, archive: Readable): void {
  archive.on('error', () => undefined);
  for (const stream of new Set<Readable>([archive, req.raw])) {
    stream.removeAllListeners('readable');
    stream.resume();
  }
}
