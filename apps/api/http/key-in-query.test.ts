import { afterAll, beforeAll, expect, it } from 'vitest';
import { managementApi, type ManagementApi } from '../../../test/support/management-api.js';
import { hasKeyInQuery } from './key-in-query.js';

let api: ManagementApi;
beforeAll(async () => {
  api = await managementApi();
});
afterAll(() => api[Symbol.asyncDispose]());

const key = 'slu_abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG';
const token = 'eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIn0.';
it.each([
  '?key=a',
  '?API_KEY=a',
  '?a=1&Token=',
  '?authorization=Bearer%20a',
  `?x=${key}`,
  `?x=Bearer+${key}`,
  `?${key}`,
  `?x=%73lu_abc`,
  `?x=${token}`,
])('sees the key in %s', (query) => expect(hasKeyInQuery(`/v2${query}`)).toBe(true));

it.each(['', '?', '?model=tone', '?monkey=1', '?keys=2'])('sees none in %j', (query) => {
  expect(hasKeyInQuery(`/v2${query}`)).toBe(false);
});

it.each([
  '/api/keys',
  '/v2',
  '/v2/models/tone/infer',
  '/v1/models',
  '/v1/chat/completions',
  '/docs',
  '/metrics',
  '/nothing',
  '/v2/nothing',
  '/v1/nothing',
])('is refused at %s before anything else, named, and not repeated', async (path) => {
  for (const method of ['GET', 'POST'] as const) {
    const answer = await api.app.inject({ method, url: `${path}?api_key=${key}`, headers: api.as.admin });
    expect(answer.statusCode).toBe(400);
    expect(answer.body).toContain('never put a key into the query string');
    expect(`${answer.body}${JSON.stringify(answer.headers)}`).not.toContain(key);
  }
});
