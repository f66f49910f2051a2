import OpenAI from 'openai';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { gatewayKey, startGateway, type Gateway } from '../../../test/support/language-gateway.js';
import { moderationCategories } from './moderation-result.js';

let gateway: Gateway;
let client: OpenAI;

beforeAll(async () => {
  gateway = await startGateway({ endpoints: {}, bodyLimitBytes: 6_000_000 });
  client = new OpenAI({ apiKey: gatewayKey, baseURL: `${gateway.base}/v1`, maxRetries: 0 });
});
afterAll(() => gateway[Symbol.asyncDispose]());

const send = async (body: unknown, headers: Record<string, string> = { authorization: `Bearer ${gatewayKey}` }) => {
  const { statusCode, body: text } = await gateway.server.inject({
    method: 'POST',
    url: '/v1/moderations',
    payload: JSON.stringify(body),
    headers: { 'content-type': 'application/json', ...headers },
  });
  return { status: statusCode, answer: JSON.parse(text) };
};

it("answers OpenAI's own client, one result for each input in their order", async () => {
  const answer = await client.moderations.create({
    input: ['The garden is green.', 'I want to kill myself.', 'You are a fucking idiot.'],
  });
  expect(answer.results.map(({ flagged }) => flagged)).toEqual([false, true, true]);
  const [calm, crisis, insult] = answer.results;
  expect(Object.keys(calm!.categories).sort()).toEqual([...moderationCategories].sort());
  expect(Object.values(calm!.category_scores)).toEqual(moderationCategories.map(() => 0));
  expect(crisis!.categories).toMatchObject({ 'self-harm': true, 'self-harm/intent': true, harassment: false });
  expect(insult!.categories).toMatchObject({ 'self-harm': false, harassment: true });
});

it('says what each gate found, and where in the input', async () => {
  const input = '😀 I want to k\u200bill myself';
  const { answer } = await send({ input });
  const { crisis, toxicity } = answer.results[0].sluice.gates;
  expect(crisis).toEqual({
    flagged: true,
    score: 0.95,
    severity: 2,
    category: 'active',
    subject: 'self',
    tense: 'present',
    rules: ['crisis.active'],
    spans: [{ type: 'active', start: input.indexOf('k\u200b'), end: input.length }],
  });
  expect(toxicity).toMatchObject({ flagged: false, spans: [] });
});

it('says what tells who somebody is, and gives the text without it', async () => {
  const input = 'My name is Tamika Jones, I work at Rivermead Foods, call 212-555-0173.';
  const { answer } = await send({ input });
  const { gates, redacted } = answer.results[0].sluice;
  const at = (type: string, words: string) => ({
    type,
    start: input.indexOf(words),
    end: input.indexOf(words) + words.length,
  });
  const [name, phone] = [at('name', 'Tamika Jones'), at('phone', '212-555-0173')];
  expect(gates.privacy).toMatchObject({ flagged: true, severity: 4, category: 'name' });
  expect(gates.privacy.spans).toEqual([name, at('employer', 'Rivermead Foods'), phone]);
  expect(gates.redaction).toMatchObject({
    flagged: true,
    spans: [name, phone],
    rules: ['redaction.name', 'redaction.phone'],
  });
  expect(redacted).toBe('My name is [NAME], I work at Rivermead Foods, call [PHONE].');
  expect((await send({ input: redacted })).answer.results[0].sluice.redacted).toBe(redacted);
});

it('tells the words of a simulated client from those of a person', async () => {
  const ask = (channel: string) => send({ input: 'I want to kill myself.', sluice: { channel } });
  const subjectOf = async (channel: string) => (await ask(channel)).answer.results[0].sluice.gates.crisis.subject;
  expect(await subjectOf('simulated-client-output')).toBe('simulated');
  expect(await subjectOf('caller-input')).toBe('self');
});

it.each([
  [{}, 'input'],
  [{ input: [] }, 'input'],
  [{ input: 7 }, 'input'],
  [{ input: ['a', 7] }, 'input[1]'],
  [{ input: [{ type: 'image_url', image_url: { url: 'x' } }] }, 'input[0]'],
  [{ input: 'a', sluice: { channel: 'nobody' } }, 'sluice.channel'],
  [{ input: ['a', 'b'], sluice: { contexts: ['c'] } }, 'sluice.contexts'],
  [{ input: 'x'.repeat(1_048_577) }, 'input'],
])('refuses %j by the name of the field', async (body, param) => {
  const { status, answer } = await send(body);
  expect([status, answer.error.param]).toEqual([400, param]);
});

it.each([
  ['nothing', ''],
  ['a megabyte', 'word '.repeat(200_000)],
  ['ten thousand emoji', '😀'.repeat(10_000)],
  ['halves of pairs', '\ud800\udc00\udfff'],
])('answers %s', async (_name, input) => expect((await send({ input })).status).toBe(200));

it('asks for a key', async () => expect((await send({ input: 'a' }, {})).status).toBe(401));
