import { checkMembers, isObject, list, object, oneOf, refusal, text, type JsonObject } from './field-rules.js';

/** Whose words are judged: what is risk in one's mouth is a role in another's. */
export const channels = ['caller-input', 'simulated-client-output', 'coach-output', 'model-output'] as const;
export type Channel = (typeof channels)[number];

export interface ModerationAsk {
  readonly texts: readonly string[];
  readonly channel: Channel | undefined;
}

/** Of all inputs of a request together, in UTF-16 units: judging them takes a fraction of a second at most. */
export const mostModeratedUnits = 1_048_576;
const mostInputs = 2_048;

const sluiceRules = {
  channel: oneOf(...channels),
  scenario: text(200),
  contexts: list(
    (value, field) => {
      if (value !== null) text(mostModeratedUnits)(value, field);
    },
    0,
    mostInputs,
  ),
};

/** @throws SLU_INFERENCE_INPUT, naming the field */
export function checkedModeration(body: JsonObject): ModerationAsk {
  checkMembers(body, { model: text(200), sluice: object(sluiceRules) });
  const texts = textsOf(body['input']);
  const units = texts.reduce((sum, each) => sum + each.length, 0);
  if (units > mostModeratedUnits)
    throw refusal('input', `has ${units} characters; send at most ${mostModeratedUnits} in one request`);
  const sluice = (body['sluice'] ?? {}) as { channel?: Channel | null; contexts?: unknown[] | null };
  if (sluice.contexts && sluice.contexts.length !== texts.length)
    throw refusal('sluice.contexts', `has ${sluice.contexts.length} entries for ${texts.length} inputs`);
  return { texts, channel: sluice.channel ?? undefined };
}

function textsOf(input: unknown): string[] {
  if (typeof input === 'string') return [input];
  if (!Array.isArray(input)) throw refusal('input', 'must be a text or an array of texts');
  if (input.length === 0 || input.length > mostInputs)
    throw refusal('input', `has ${input.length} entries; send 1 to ${mostInputs}`);
  return input.map((each: unknown, at) => {
    if (typeof each === 'string') return each;
    if (isObject(each) && each['type'] === 'text' && typeof each['text'] === 'string') return each['text'];
    throw refusal(`input[${at}]`, 'must be a text: images are not judged here');
  });
}
