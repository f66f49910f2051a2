import { STATUS_CODES } from 'node:http';
import { errorTable, isSluiceError, SluiceError, sluiceError, type ErrorCode } from '#libs/kernel';
import { HttpException } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import type { RouteBook } from './route-book.js';

export interface FieldProblem {
  field: string;
  problem: string;
}

/** A body, query or path that does not fit its schema, with everything that is wrong about it. */
export class InvalidRequest extends SluiceError {
  constructor(readonly problems: readonly FieldProblem[]) {
    super('SLU_REQUEST_INVALID', { ...(problems[0] ?? { field: 'body', problem: 'is not valid' }) });
  }
}

/** An answer as RFC 9457 has it. */
export interface Problem {
  type: string;
  title: string;
  status: number;
  detail: string;
  code: ErrorCode;
  requestId: string;
  problems?: readonly FieldProblem[];
}

export const problemContentType = 'application/problem+json; charset=utf-8';

export const problemType = (code: ErrorCode): string => `urn:sluice:problem:${code}`;

export const problemTitle = (code: ErrorCode): string => STATUS_CODES[errorTable[code].status] ?? 'Error';

export function problemOf(error: SluiceError, requestId: string): Problem {
  const { code, status, message: detail } = error;
  const problems = error instanceof InvalidRequest ? { problems: error.problems } : {};
  return { type: problemType(code), title: problemTitle(code), status, detail, code, requestId, ...problems };
}

/** What any failure of a request means in the closed table. What is not known there is our fault, and says nothing. */
export function sluiceErrorOf(failure: unknown, req: FastifyRequest, routes: RouteBook): SluiceError {
  const cause = failure instanceof HttpException && failure.cause !== undefined ? failure.cause : failure;
  if (isSluiceError(cause)) return cause;
  const status =
    failure instanceof HttpException
      ? failure.getStatus()
      : Number((cause as { statusCode?: unknown } | null)?.statusCode ?? 500);
  const path = pathOf(req);
  // Whatever else is wrong with a request, where there is no route that comes first.
  if (status === 404 || (status < 500 && req.is404)) {
    if (routes.methodsAt(path).length === 0) return sluiceError('SLU_REQUEST_NOT_FOUND', { path });
    return sluiceError('SLU_REQUEST_METHOD', { path, method: req.method });
  }
  if (status === 415) return mediaType(req);
  if (status === 413) return sluiceError('SLU_REQUEST_TOO_LARGE', { limitBytes: req.routeOptions.bodyLimit });
  if (status >= 400 && status < 500)
    return sluiceError('SLU_REQUEST_MALFORMED', { what: 'the request cannot be read' }, { cause });
  return sluiceError('SLU_INTERNAL', {}, { cause });
}

export function mediaType(req: FastifyRequest): SluiceError {
  const wanted =
    req.routeOptions.config.operation?.takesArchive === true
      ? 'application/json, application/gzip or multipart/form-data'
      : 'application/json';
  const given = (req.headers['content-type'] ?? 'none').slice(0, 100);
  return sluiceError('SLU_REQUEST_MEDIA_TYPE', { given, wanted });
}

/** Without the query, which may hold what must not be repeated. */
export const pathOf = (req: FastifyRequest): string => (req.url.split('?', 1)[0] ?? '').slice(0, 200);
