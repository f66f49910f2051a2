import { TlsCertificate } from '#libs/platform';
import { once } from 'node:events';
import { connect as connectHttp2, constants, type ClientHttp2Session } from 'node:http2';
import { request } from 'node:https';
import { connect as connectTcp, type AddressInfo } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { makeOwnCertificate } from '../../../libs/platform/tls/own-certificate.js';
import { managementApi, type ManagementApi } from '../../../test/support/management-api.js';

const names = ['localhost', '127.0.0.1'];
let pair = { certificate: '', privateKey: '' };
let tls: TlsCertificate;
let secure: ManagementApi;
let plain: ManagementApi;

beforeAll(async () => {
  pair = await makeOwnCertificate(names, new Date());
  tls = await TlsCertificate.open({ load: async () => pair, onProblem: () => undefined });
  secure = await managementApi({ kind: 'any' }, {}, { tls, isTlsForGood: true });
  plain = await managementApi();
  for (const { app } of [secure, plain]) await app.listen(0, '127.0.0.1');
});
afterAll(async () => {
  await secure[Symbol.asyncDispose]();
  await plain[Symbol.asyncDispose]();
  tls[Symbol.dispose]();
});
const portOf = ({ app }: ManagementApi): number => (app.getHttpServer().address() as AddressInfo).port;

it('speaks HTTP/2 and HTTP/1.1 over TLS on one port, and keeps to TLS 1.2 and newer', async () => {
  const session = await http2(portOf(secure));
  expect(session.alpnProtocol).toBe('h2');
  expect(await over2(session, '/v2/health/live')).toMatchObject({ status: 200, body: '{"live":true}' });
  const keys = await over2(session, '/api/keys', { ...secure.as.admin });
  expect(keys).toMatchObject({
    status: 200,
    headers: { 'strict-transport-security': expect.stringMatching(/max-age/) },
  });
  session.close();
  expect(await over1(portOf(secure), '/v2/health/live')).toBe(200);
  expect(await handshake(portOf(secure), { maxVersion: 'TLSv1.1', minVersion: 'TLSv1' })).not.toBe('TLSv1.1');
  expect(await handshake(portOf(secure), { maxVersion: 'TLSv1.2' })).toBe('TLSv1.2');
  expect(await handshake(portOf(secure), {})).toBe('TLSv1.3');
});

it('carries an answer with a body to HTTP/2, errors and all, and takes POSTs', async () => {
  const session = await http2(portOf(secure));
  const made = await over2(session, '/api/keys', secure.as.admin, JSON.stringify({ name: 'h2', role: 'caller' }));
  expect(made.status).toBe(201);
  expect(await over2(session, '/api/keys', {}, '{}')).toMatchObject({ status: 401 });
  expect(await over2(session, '/api/keys', secure.as.admin, 'x'.repeat(5_000))).toMatchObject({ status: 413 });
  session.close();
});

it('serves with the renewed certificate from the next connection on, and keeps the open ones', async () => {
  const session = await http2(portOf(secure));
  const before = pair.certificate;
  pair = await makeOwnCertificate(names, new Date());
  await tls.refresh();
  expect(await over1(portOf(secure), '/v2/health/live', pair.certificate)).toBe(200);
  await expect(over1(portOf(secure), '/v2/health/live', before)).rejects.toThrow(/self-signed|certificate/);
  expect(await over2(session, '/v2/health/live')).toMatchObject({ status: 200 });
  session.close();
});

it('answers a header of 1 MB with 431, in words, and serves on', async () => {
  const answer = await raw(portOf(plain), `GET /v2 HTTP/1.1\r\nhost: x\r\nx-long: ${'a'.repeat(1_048_576)}\r\n\r\n`);
  expect(answer).toMatch(/^HTTP\/1\.1 431 /);
  expect(answer).toContain('"error":"the headers with the address are larger than the limit of 16384 bytes"');
  expect(answer).toContain('SLU_REQUEST_HEADERS_TOO_LARGE');
  const [session, other] = await Promise.all([http2(portOf(secure)), http2(portOf(secure))]);
  // HTTP/2 ends the whole connection: what is not decoded leaves its compression in a state that nobody knows.
  const ended = new Promise<number>((resolve) => session.once('goaway', resolve));
  await expect(over2(session, '/v2/health/live', { 'x-long': 'a'.repeat(1_048_576) })).rejects.toThrow();
  expect(await ended).toBe(constants.NGHTTP2_COMPRESSION_ERROR);
  expect(await over2(other, '/v2/health/live')).toMatchObject({ status: 200 });
  session.destroy();
  other.close();
  expect(await over1(portOf(secure), '/v2/health/live')).toBe(200);
});

it('answers what is no HTTP with 400 and repeats nothing of it', async () => {
  const answer = await raw(portOf(plain), 'GET / HTTP/9.9 secret-word\r\n\r\n');
  expect(answer).toMatch(/^HTTP\/1\.1 400 /);
  expect(answer).not.toContain('secret-word');
});

it('gives up on headers that never end', async () => {
  const answer = await raw(portOf(plain), 'GET /v2 HTTP/1.1\r\nhost: x\r\nx-slow: ');
  expect(answer).toMatch(/^HTTP\/1\.1 408 /);
});

it('tells browsers nothing that opens a page to others, and names no product', async () => {
  const headers = { ...plain.as.admin, origin: 'https://evil.example', 'x-forwarded-proto': 'https' };
  for (const url of ['/api/keys', '/v2', '/v1/models', '/docs', '/nothing']) {
    const answer = await plain.app.inject({ method: 'GET', url, headers });
    for (const name of ['access-control-allow-origin', 'server', 'x-powered-by', 'strict-transport-security'])
      expect(answer.headers[name], `${url} ${name}`).toBeUndefined();
    if (url.startsWith('/v')) continue;
    expect(answer.headers).toMatchObject({ 'x-content-type-options': 'nosniff', 'referrer-policy': 'no-referrer' });
  }
});

it('lets no header change what a request is', async () => {
  const change = { 'x-http-method-override': 'DELETE', 'x-method-override': 'DELETE', 'x-http-method': 'DELETE' };
  const { id } = (await plain.app.inject({ method: 'GET', url: '/api/keys', headers: plain.as.admin })).json().keys[0];
  const tried = await plain.app.inject({
    method: 'POST',
    url: `/api/keys/${id}?_method=DELETE`,
    headers: { ...plain.as.admin, ...change },
  });
  expect(tried.statusCode).toBe(405);
  const moved = { 'x-original-url': '/v2/health/live', 'x-rewrite-url': '/v2/health/live' };
  expect((await plain.app.inject({ method: 'GET', url: '/api/keys', headers: moved })).statusCode).toBe(401);
});

it('opens to the listed origins alone, preflight and all, without letting anybody in', async () => {
  await using api = await managementApi({ kind: 'any' }, {}, { corsOrigins: ['https://console.example'] });
  const ask = (origin: string, method: 'OPTIONS' | 'GET', headers = {}) =>
    api.app.inject({
      method,
      url: '/api/keys',
      headers: { origin, 'access-control-request-method': 'GET', ...headers },
    });
  const preflight = await ask('https://console.example', 'OPTIONS');
  expect(preflight).toMatchObject({
    statusCode: 204,
    headers: { 'access-control-allow-origin': 'https://console.example' },
  });
  expect(preflight.headers['access-control-allow-credentials']).toBeUndefined();
  expect((await ask('https://console.example', 'GET')).statusCode).toBe(401);
  expect(
    (await ask('https://console.example', 'GET', api.as.admin)).headers['access-control-expose-headers'],
  ).toContain('sluice-request-id');
  for (const origin of ['https://evil.example', 'https://console.example.evil', 'null', 'http://console.example'])
    expect((await ask(origin, 'GET', api.as.admin)).headers['access-control-allow-origin'], origin).toBeUndefined();
});

async function http2(port: number): Promise<ClientHttp2Session> {
  const session = connectHttp2(`https://localhost:${port}`, {
    ca: pair.certificate,
    // Node's own client would refuse long headers before they leave.
    maxSendHeaderBlockLength: 4_194_304,
  });
  session.on('error', () => undefined);
  await once(session, 'connect');
  return session;
}

async function over2(session: ClientHttp2Session, path: string, headers: object = {}, body?: string) {
  const method = body === undefined ? 'GET' : 'POST';
  const stream = session.request({ ':path': path, ':method': method, 'content-type': 'application/json', ...headers });
  stream.end(body);
  const [answer] = (await once(stream, 'response')) as [Record<string, string>];
  let text = '';
  for await (const chunk of stream) text += String(chunk);
  return { status: Number(answer[constants.HTTP2_HEADER_STATUS]), headers: answer, body: text };
}

function over1(port: number, path: string, ca = pair.certificate): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const asked = request({ host: '127.0.0.1', servername: 'localhost', port, path, ca, agent: false }, (answer) => {
      expect(answer.httpVersion).toBe('1.1');
      answer.resume().once('end', () => resolve(answer.statusCode));
    });
    asked.once('error', reject).end();
  });
}

function handshake(
  port: number,
  versions: { maxVersion?: 'TLSv1.1' | 'TLSv1.2'; minVersion?: 'TLSv1' },
): Promise<string | null> {
  return new Promise((resolve) => {
    const socket = connectTls(
      { host: '127.0.0.1', servername: 'localhost', port, ca: pair.certificate, ...versions },
      () => {
        resolve(socket.getProtocol());
        socket.destroy();
      },
    );
    socket.once('error', (failure) => resolve(failure.message));
  });
}

function raw(port: number, bytes: string): Promise<string> {
  return new Promise((resolve) => {
    const socket = connectTcp(port, '127.0.0.1', () => socket.write(bytes));
    let text = '';
    socket.on('data', (chunk) => (text += String(chunk)));
    socket.on('error', () => undefined);
    socket.on('close', () => resolve(text));
  });
}
