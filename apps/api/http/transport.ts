import { kibibytes, minutes, secondsToMs } from '#libs/kernel';
import type { TlsCertificate } from '#libs/platform';
import type { FastifyInstance } from 'fastify';
import type { Http2SecureServer, SecureServerOptions } from 'node:http2';
import type { ServerOptions } from 'node:http';

/** Of one request, its line included. Whatever is longer is refused before it is read any further. */
export const headerLimitBytes = kibibytes(16);
const headersTimeoutSeconds = 10;
/** How often connections are looked at that take too long over their headers. */
const checkEverySeconds = 2;
const handshakeSeconds = 10;
export const keepAliveSeconds = minutes(1) + 12;
/** Of one HTTP/2 connection, at the same time. */
const streamsPerConnection = 256;

const headers: ServerOptions = {
  maxHeaderSize: headerLimitBytes,
  headersTimeout: secondsToMs(headersTimeoutSeconds),
  connectionsCheckingInterval: secondsToMs(checkEverySeconds),
};

export type TransportOptions = { http: ServerOptions } | { http2: true; https: SecureServerOptions };

/** Plain HTTP/1.1; or TLS with HTTP/2, and HTTP/1.1 for clients that ask for that, on the same port. */
export function transportOptions(tls: TlsCertificate | undefined): TransportOptions {
  if (tls === undefined) return { http: headers };
  return {
    http2: true,
    https: {
      ...secureContextOf(tls.current),
      ...headers,
      http1Options: headers,
      allowHTTP1: true,
      handshakeTimeout: secondsToMs(handshakeSeconds),
      maxSessionInvalidFrames: 100,
      maxSessionRejectedStreams: 100,
      settings: { maxHeaderListSize: headerLimitBytes, maxConcurrentStreams: streamsPerConnection },
    },
  };
}

/** Serves with what is renewed from the next connection on; and sets for HTTP/1.1 over TLS what Node takes for plain alone. */
export function tendTransport(fastify: FastifyInstance, tls: TlsCertificate | undefined, requestSeconds: number): void {
  if (tls === undefined) return;
  const server = fastify.server as unknown as Http2SecureServer & ServerOptions;
  server.headersTimeout = secondsToMs(headersTimeoutSeconds);
  server.requestTimeout = secondsToMs(requestSeconds);
  server.keepAliveTimeout = secondsToMs(keepAliveSeconds);
  tls.onRenewed((pair) => server.setSecureContext(secureContextOf(pair)));
}

const secureContextOf = ({ certificate, privateKey }: TlsCertificate['current']) =>
  ({ cert: certificate, key: privateKey, minVersion: 'TLSv1.2' }) as const;
