import { refused, shownName } from './artifact-refusal.js';

/** A value of a text protobuf. Numbers and bare words (enum names, true, false) are kept as they stand. */
export type TextValue = { kind: 'text'; text: string } | { kind: 'word'; word: string } | TextMessage;

/** A message of a text protobuf: each field with all its values, in their order. */
export interface TextMessage {
  kind: 'message';
  fields: Map<string, TextValue[]>;
}

const deepest = 32;
const mostTokens = 200_000;

/**
 * Reads the protobuf text format, https://protobuf.dev/reference/protobuf/textformat-spec/, without extensions and `Any`.
 * @throws SLU_ARTIFACT_REFUSED with the line
 */
export function parseTextProto(source: string, shownAs: string): TextMessage {
  return new TextProtoReader(source, shownAs).message(0, undefined);
}

interface Token {
  kind: 'word' | 'text' | 'sign' | 'end';
  text: string;
}

// Sticky, and in two steps, so that a comment is never gone back into when what follows it cannot be read.
const blank = /(?:[\s,;]+|#[^\n]*)/y;
const tokenPattern =
  /([-+]?[A-Za-z0-9_.][A-Za-z0-9_.+]*(?:-[0-9]+)?)|("(?:[^"\\\n]|\\[^\n])*"|'(?:[^'\\\n]|\\[^\n])*')|([{}<>[\]:])/y;

class TextProtoReader {
  private at = 0;
  private tokens = 0;
  private ahead: Token | undefined;

  constructor(
    private readonly source: string,
    private readonly shownAs: string,
  ) {}

  message(depth: number, close: string | undefined): TextMessage {
    if (depth > deepest) throw this.problem(`is more than ${deepest} messages deep`);
    const fields = new Map<string, TextValue[]>();
    for (;;) {
      const token = this.next();
      if (token.kind === 'end' && close === undefined) return { kind: 'message', fields };
      if (token.kind === 'sign' && token.text === close) return { kind: 'message', fields };
      if (token.kind !== 'word') throw this.problem(`has ${shown(token)} where a field's name is expected`);
      const values = fields.get(token.text) ?? [];
      fields.set(token.text, values);
      this.readValues(depth, values);
    }
  }

  private readValues(depth: number, values: TextValue[]): void {
    if (this.peek().text === ':' && this.peek().kind === 'sign') this.next();
    else if (!this.opensMessage()) throw this.problem('has a field without ":" before its value');
    if (!(this.peek().kind === 'sign' && this.peek().text === '[')) {
      values.push(this.value(depth));
      return;
    }
    this.next();
    while (!(this.peek().kind === 'sign' && this.peek().text === ']')) values.push(this.value(depth));
    this.next();
  }

  private opensMessage(): boolean {
    const { kind, text } = this.peek();
    return kind === 'sign' && (text === '{' || text === '<' || text === '[');
  }

  private value(depth: number): TextValue {
    const token = this.next();
    if (token.kind === 'word') return { kind: 'word', word: token.text };
    if (token.kind === 'text') {
      let text = unescaped(token.text);
      while (this.peek().kind === 'text') text += unescaped(this.next().text);
      return { kind: 'text', text };
    }
    if (token.kind === 'sign' && token.text === '{') return this.message(depth + 1, '}');
    if (token.kind === 'sign' && token.text === '<') return this.message(depth + 1, '>');
    throw this.problem(`has ${shown(token)} where a value is expected`);
  }

  private peek(): Token {
    return (this.ahead ??= this.read());
  }

  private next(): Token {
    const token = this.peek();
    this.ahead = undefined;
    return token;
  }

  private read(): Token {
    this.tokens += 1;
    if (this.tokens > mostTokens) throw this.problem('has too many parts');
    for (;;) {
      blank.lastIndex = this.at;
      if (!blank.test(this.source)) break;
      this.at = blank.lastIndex;
    }
    if (this.at === this.source.length) return { kind: 'end', text: '' };
    tokenPattern.lastIndex = this.at;
    const match = tokenPattern.exec(this.source);
    if (match === null) throw this.problem('cannot be read');
    this.at = tokenPattern.lastIndex;
    const [, word, text, sign = ''] = match;
    if (word !== undefined) return { kind: 'word', text: word };
    return text === undefined ? { kind: 'sign', text: sign } : { kind: 'text', text: text.slice(1, -1) };
  }

  private problem(what: string): Error {
    const line = this.source.slice(0, this.at).split('\n').length;
    return refused(`${shownName(this.shownAs)} ${what} (line ${line})`);
  }
}

const shown = (token: Token): string => (token.kind === 'end' ? 'its end' : shownName(token.text));

const plainEscapes: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t' };

const unescaped = (text: string): string =>
  text.replace(/\\(?:x([0-9A-Fa-f]{1,2})|([0-7]{1,3})|(.))/g, (_all, hex?: string, octal?: string, plain?: string) => {
    if (hex !== undefined) return String.fromCharCode(parseInt(hex, 16));
    if (octal !== undefined) return String.fromCharCode(parseInt(octal, 8) & 0xff);
    return plainEscapes[plain ?? ''] ?? plain ?? '';
  });
