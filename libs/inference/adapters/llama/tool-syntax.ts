import { type ChatWrapper, type LlamaModel, LlamaText } from 'node-llama-cpp';

/** How a model writes that it calls a tool: `open name beforeArguments {...} close`, and between two calls `between`. */
export interface ToolSyntax {
  /** As the model's own tokens. */
  readonly openTokens: readonly number[];
  /** What tells that a call begins, though the model may write it a little differently. */
  readonly trigger: string;
  readonly beforeArguments: string;
  readonly close: string;
  /** Undefined: the model makes one call at a time. */
  readonly between: string | undefined;
  readonly end: string;
}

type Text = string | LlamaText;

/** Reads the syntax from the chat template that the model came with. */
export function toolSyntaxOf(template: ChatWrapper, model: LlamaModel): ToolSyntax {
  const { call, parallelism } = template.settings.functions;
  const textOf = (text: Text | undefined): string =>
    text === undefined ? '' : model.detokenize(LlamaText(text).tokenize(model.tokenizer), true);
  const opening = LlamaText([parallelism?.call.sectionPrefix ?? '', call.prefix]);
  const open = textOf(opening).trimStart();
  return {
    openTokens: opening.tokenize(model.tokenizer),
    trigger: /^\S+/.exec(open)?.[0] ?? open,
    beforeArguments: textOf(call.paramsPrefix),
    close: textOf(call.suffix),
    between:
      parallelism === undefined ? undefined : textOf(LlamaText([parallelism.call.betweenCalls ?? '', call.prefix])),
    end: textOf(parallelism?.call.sectionSuffix),
  };
}

export interface CallableTool {
  readonly name: string;
  readonly description?: string | undefined;
  /** A JSON schema of an object; undefined: no arguments. */
  readonly parameters?: Readonly<Record<string, unknown>> | undefined;
}

export type ToolEvent =
  | { readonly kind: 'call'; readonly call: number; readonly name: string }
  | { readonly kind: 'arguments'; readonly call: number; readonly text: string };

/**
 * Reads calls from text that a grammar keeps to the syntax, as it comes. It starts behind the first `open`.
 * Arguments are passed on as they are written.
 */
export class ToolCallReader {
  private buffer = '';
  private call = -1;
  private state: 'name' | 'arguments' | 'between' = 'name';
  private depth = 0;
  private isInString = false;
  private isEscaped = false;

  constructor(
    private readonly tools: readonly CallableTool[],
    private readonly syntax: ToolSyntax,
  ) {}

  get callCount(): number {
    return this.call + 1;
  }

  push(piece: string): ToolEvent[] {
    this.buffer += piece;
    const events: ToolEvent[] = [];
    for (;;) {
      const event = this.read();
      if (event === undefined) return events;
      if (event !== 'more') events.push(event);
    }
  }

  private read(): ToolEvent | 'more' | undefined {
    switch (this.state) {
      case 'name':
        return this.readName();
      case 'arguments':
        return this.readArguments();
      case 'between':
        return this.readBetween();
    }
  }

  private readName(): ToolEvent | undefined {
    const { beforeArguments } = this.syntax;
    // A name may be the beginning of another one, but what follows it tells them apart.
    const tool = this.tools.find(({ name }) => this.buffer.startsWith(`${name}${beforeArguments}`));
    if (tool === undefined) return undefined;
    this.buffer = this.buffer.slice(tool.name.length + beforeArguments.length);
    this.call += 1;
    this.state = 'arguments';
    this.depth = 0;
    return { kind: 'call', call: this.call, name: tool.name };
  }

  private readArguments(): ToolEvent | undefined {
    let at = 0;
    let isDone = false;
    for (; at < this.buffer.length && !isDone; at += 1) isDone = this.isLastOfObject(this.buffer[at]!);
    const text = this.buffer.slice(0, at);
    this.buffer = this.buffer.slice(at);
    if (isDone) this.state = 'between';
    return text === '' ? undefined : { kind: 'arguments', call: this.call, text };
  }

  private isLastOfObject(character: string): boolean {
    if (this.isInString) {
      if (this.isEscaped) this.isEscaped = false;
      else if (character === '\\') this.isEscaped = true;
      else if (character === '"') this.isInString = false;
      return false;
    }
    if (character === '"') this.isInString = true;
    if (character === '{' || character === '[') this.depth += 1;
    if (character !== '}' && character !== ']') return false;
    this.depth -= 1;
    return this.depth === 0;
  }

  private readBetween(): 'more' | undefined {
    const { between, close } = this.syntax;
    if (between === undefined || !this.buffer.startsWith(close + between)) return undefined;
    this.buffer = this.buffer.slice(close.length + between.length);
    this.state = 'name';
    return 'more';
  }
}
