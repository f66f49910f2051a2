import { sluiceError, type SluiceError } from '#libs/kernel';
import { STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import { randomUUID } from 'node:crypto';
import { problemContentType, problemOf } from './problem.js';
import { headerLimitBytes } from './transport.js';

/**
 * Answers what Node's parser could not read as a request. No route is known, so the answer has the fields of both error
 * shapes. Nothing of it is logged: the parser's error carries the bytes that came, and a key may be among them.
 */
export function refuseUnreadable(failure: Error & { code?: string }, socket: Socket): void {
  if (failure.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  const error = errorOf(failure.code);
  const requestId = randomUUID();
  const body = JSON.stringify({ error: error.message, ...problemOf(error, requestId) });
  const head = [
    `HTTP/1.1 ${error.status} ${STATUS_CODES[error.status]}`,
    `content-type: ${problemContentType}`,
    `content-length: ${Buffer.byteLength(body)}`,
    `sluice-request-id: ${requestId}`,
    'cache-control: no-store',
    'x-content-type-options: nosniff',
    'connection: close',
  ];
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`);
}

function errorOf(code: string | undefined): SluiceError {
  switch (code) {
    case 'HPE_HEADER_OVERFLOW':
      return sluiceError('SLU_REQUEST_HEADERS_TOO_LARGE', { limitBytes: headerLimitBytes });
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return sluiceError('SLU_REQUEST_HEADERS_TIMEOUT');
    default:
      return sluiceError('SLU_REQUEST_MALFORMED', { what: 'this is not a request of HTTP/1.1' });
  }
}
