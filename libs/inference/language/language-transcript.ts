import { mebibytes } from '#libs/kernel';

const mostBytes = mebibytes(1);
const longestPlainRun = 256;

interface Spoken {
  text: string;
  toolCalls: Map<number, { name: string; arguments: string }>;
}

interface ChunkJson {
  choices?: {
    index?: number;
    delta?: SpokenJson;
    message?: SpokenJson;
    text?: string;
    finish_reason?: unknown;
  }[];
  data?: unknown[];
}

interface SpokenJson {
  content?: unknown;
  refusal?: unknown;
  reasoning_content?: unknown;
  tool_calls?: { index?: number; function?: { name?: string; arguments?: string } }[];
}

/**
 * What was asked and answered, put together again from its pieces: what is cut over two chunks of a stream would be found by
 * no redactor. Whatever cannot be read as a text (tokens, vectors, log probabilities, pictures, sound) is left out.
 */
export class LanguageTranscript {
  private readonly answers: (string | Buffer)[] = [];
  private answerBytes = 0;
  private isCut = false;

  constructor(
    private readonly asked: Readonly<Record<string, unknown>>,
    private readonly askedBytes: number,
  ) {}

  get bytes(): number {
    return this.askedBytes + this.answerBytes;
  }

  /** A whole answer, or the data of an event, each the JSON of an answer or of a piece of it. */
  hear(answer: string | Buffer): void {
    this.answerBytes += answer.length;
    if (this.answerBytes > mostBytes) this.isCut = true;
    else this.answers.push(answer);
  }

  content(): unknown {
    const choices = new Map<number, Spoken>();
    let vectors = 0;
    for (const answer of this.answers) {
      const chunk = parsed(answer);
      vectors += chunk.data?.length ?? 0;
      for (const choice of chunk.choices ?? []) addTo(choices, choice);
    }
    // The end of what was cut may be half of something.
    const said = this.isCut
      ? '[the answer is too long to be logged]'
      : [...choices].map(([index, { text, toolCalls }]) => ({
          index,
          text: readable(text),
          ...(toolCalls.size > 0 && { toolCalls: [...toolCalls.values()] }),
        }));
    return { input: readable(withoutNames(this.asked)), output: said, ...(vectors > 0 && { vectors }) };
  }
}

function addTo(
  choices: Map<number, Spoken>,
  { index = 0, delta, message, text }: NonNullable<ChunkJson['choices']>[0],
) {
  const spoken = choices.get(index) ?? { text: '', toolCalls: new Map() };
  choices.set(index, spoken);
  const piece = delta ?? message ?? { content: text };
  for (const each of [piece.reasoning_content, piece.content, piece.refusal])
    if (typeof each === 'string') spoken.text += each;
  for (const [place, call] of (piece.tool_calls ?? []).entries()) {
    const known = spoken.toolCalls.get(call.index ?? place) ?? { name: '', arguments: '' };
    known.name += call.function?.name ?? '';
    known.arguments += call.function?.arguments ?? '';
    spoken.toolCalls.set(call.index ?? place, known);
  }
}

/** Without the caller's names for the person: the pseudonym stands beside the payload. */
function withoutNames({ user: _user, safety_identifier: _id, metadata: _metadata, ...rest }: Record<string, unknown>) {
  return rest;
}

/** Leaves out what a redactor cannot look into. */
function readable(value: unknown): unknown {
  if (typeof value === 'string') {
    const isOpaque =
      value.startsWith('data:') ||
      (value.length > longestPlainRun && !/[^A-Za-z0-9+/=_\s-]/.test(value) && !/\s/.test(value));
    return isOpaque ? `[${value.length} characters of data are not logged]` : value;
  }
  if (Array.isArray(value)) {
    const isTokens = value.length > 0 && value.every((each) => typeof each === 'number');
    return isTokens ? `[${value.length} tokens are not logged]` : value.map(readable);
  }
  if (typeof value === 'object' && value !== null)
    return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, readable(each)]));
  return value;
}

function parsed(answer: string | Buffer): ChunkJson {
  // The data of an event holds its bytes as characters.
  const text = typeof answer === 'string' ? Buffer.from(answer, 'latin1').toString('utf8') : answer.toString('utf8');
  try {
    return JSON.parse(text) as ChunkJson;
  } catch {
    return {};
  }
}
