import { sluiceError } from '#libs/kernel';
import { membersOf, type Place } from '../oip/json-members.js';
import type { LanguageAnswer } from '../ports/language-replica.js';

/** Tokens as the model server counted them; undefined where it did not say. */
export interface TokenUsage {
  readonly promptTokens: number | undefined;
  readonly completionTokens: number | undefined;
}

export interface AnswerReading {
  /** As the caller knows it: it stands in the answer for the name that the model has at its server. */
  endpoint: string;
  /** The caller asked for the chunk with the usage. */
  wantsUsage: boolean;
  /** How many answers there will be: each has to finish. */
  choices: number;
  /** As of the answer. */
  scrub?: LanguageAnswer['scrub'];
}

const members = ['model', 'usage', 'choices', 'error'] as const;
const done = '[DONE]';
/** Inside a JSON text each quote is escaped, so these match members only. */
const spoken = /"(?:content|text|reasoning_content|reasoning|refusal|arguments)"\s*:\s*"(?!")/;
const finished = /"finish_reason"\s*:\s*"/g;

/** Reads a streamed answer event by event, each as latin1 text, and puts the endpoint's name into it. */
export class StreamReader {
  usage: TokenUsage | undefined;
  /** Events with something of the answer in them: the count of tokens as long as the server has not told it. */
  spokenEvents = 0;
  /** The server has said that nothing more comes. */
  isDone = false;
  private finishes = 0;
  private readonly name: string;

  constructor(private readonly reading: AnswerReading) {
    this.name = JSON.stringify(reading.endpoint);
  }

  /** Every answer came to its end, whether or not the server said so at last. */
  get isWhole(): boolean {
    return this.isDone || this.finishes >= this.reading.choices;
  }

  /** @returns the event for the caller, or undefined when it is not for the caller. @throws SLU_INFERENCE_UPSTREAM */
  read(event: string): string | undefined {
    if (this.isDone) return undefined;
    if (event === done) {
      this.isDone = true;
      return undefined;
    }
    const { endpoint, wantsUsage, scrub } = this.reading;
    const found = membersOf(event, members);
    if (found === undefined) throw notAsItShould(endpoint, 'it sent an event that is no JSON object');
    if (found.error !== undefined && !isNull(event, found.error)) throw errorIn(event, found.error, endpoint, scrub);
    const usage = found.usage === undefined ? undefined : usageIn(event, found.usage);
    if (usage !== undefined) this.usage = usage;
    const choices = found.choices === undefined ? '' : event.slice(...found.choices);
    if (usage !== undefined && !wantsUsage && choices.length <= 2) return undefined;
    if (spoken.test(choices)) this.spokenEvents += 1;
    this.finishes += choices.match(finished)?.length ?? 0;
    return withName(event, found.model, this.name);
  }
}

/** @returns the answer as text (latin1) with the endpoint's name in it. @throws SLU_INFERENCE_UPSTREAM */
export function readWhole(
  body: Buffer,
  endpoint: string,
  scrub?: LanguageAnswer['scrub'],
): { text: string; usage: TokenUsage | undefined } {
  const text = body.toString('latin1');
  const found = membersOf(text, members);
  if (found === undefined) throw notAsItShould(endpoint, 'it sent something that is no JSON object');
  if (found.error !== undefined && !isNull(text, found.error)) throw errorIn(text, found.error, endpoint, scrub);
  const usage = found.usage === undefined ? undefined : usageIn(text, found.usage);
  return { text: withName(text, found.model, JSON.stringify(endpoint)), usage };
}

function withName(text: string, place: Place | undefined, name: string): string {
  return place === undefined ? text : `${text.slice(0, place[0])}${name}${text.slice(place[1])}`;
}

const isNull = (text: string, [from, to]: Place): boolean => to - from === 4 && text.startsWith('null', from);

function usageIn(text: string, place: Place): TokenUsage | undefined {
  const usage = text.slice(...place);
  const found = membersOf(usage, ['prompt_tokens', 'completion_tokens']);
  if (found === undefined) return undefined;
  const { prompt_tokens: prompt, completion_tokens: completion } = found;
  return { promptTokens: countIn(usage, prompt), completionTokens: countIn(usage, completion) };
}

const mostTokens = 2 ** 31 - 1;

function countIn(text: string, place: Place | undefined): number | undefined {
  if (place === undefined) return undefined;
  const count = parsed(text.slice(...place));
  return Number.isInteger(count) && (count as number) >= 0 && (count as number) <= mostTokens
    ? (count as number)
    : undefined;
}

function errorIn(text: string, place: Place, endpoint: string, scrub: LanguageAnswer['scrub']): Error {
  const error = parsed(Buffer.from(text.slice(...place), 'latin1').toString());
  const message = typeof error === 'string' ? error : (error as { message?: unknown } | undefined)?.message;
  if (typeof message !== 'string') return notAsItShould(endpoint, 'it gave an error');
  return notAsItShould(endpoint, (scrub?.(message) ?? message).slice(0, 300));
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

const notAsItShould = (endpoint: string, problem: string): Error =>
  sluiceError('SLU_INFERENCE_UPSTREAM', { endpoint, problem });
