import { expect, it } from 'vitest';
import { failureOf, retryAfterOf } from './answer-failure.js';

const failure = (status: number, body = '{"error":"why"}', headers: Record<string, string> = {}) =>
  failureOf({ status, body: Buffer.from(body), header: (name) => headers[name] });

it.each([
  [400, 'model', 'input'],
  [413, 'model', 'input'],
  [422, 'model', 'input'],
  [401, 'model', 'replica'],
  [403, 'model', 'replica'],
  [404, 'model', 'replica'],
  [302, 'model', 'replica'],
  [500, 'model', 'unclear'],
  [502, 'lost', 'replica'],
  [503, 'lost', 'replica'],
  [504, 'timeout', 'replica'],
  [429, 'overload', 'replica'],
])('takes %d for %s, and blames the %s', (status, kind, blame) => {
  expect(failure(status)).toMatchObject({ kind, blame });
});

it('takes 503 with Retry-After for overload', () => {
  expect(failure(503, '{}', { 'retry-after': '7' })).toMatchObject({ kind: 'overload', retryAfterSeconds: 7 });
  expect(failure(429, '{}', {})).toMatchObject({ kind: 'overload', retryAfterSeconds: 1 });
});

it.each([
  ['{"error":"plain"}', 'plain'],
  ['{"detail":"of FastAPI"}', 'of FastAPI'],
  [
    '{"detail":[{"loc":["body","inputs",0],"msg":"Field required","input":"private"}]}',
    'body.inputs.0: Field required',
  ],
  ['{"detail":[null,7]}', 'the replica gave no reason'],
  ['{"error":{"message":"of OpenAI"}}', 'the replica gave no reason'],
  ['<html>', 'the replica gave no reason'],
  ['', 'the replica gave no reason'],
])('reads the reason of %s', (body, text) => expect(failure(400, body).message).toBe(text));

it.each([
  [undefined, undefined],
  ['5', 5],
  [' 0 ', 0],
  ['999999999', 3_600],
  ['-1', undefined],
  ['soon', undefined],
  ['Tue, 24 Nov 2026 14:00:10 GMT', 10],
  ['Tue, 24 Nov 2026 13:00:00 GMT', 0],
])('reads Retry-After %s as %s seconds', (header, seconds) => {
  expect(retryAfterOf(header, Date.parse('2026-11-24T14:00:00Z'))).toBe(seconds);
});
