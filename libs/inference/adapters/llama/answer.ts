import type { LlamaGrammar } from 'node-llama-cpp';
import type { GeneratedToken, GenerationEnd, NextMove } from './generation.js';
import { StopFilter } from './stop-filter.js';
import { type Detokenize, TokenText } from './token-text.js';
import { type CallableTool, ToolCallReader, type ToolEvent, type ToolSyntax } from './tool-syntax.js';

export interface TokenChance {
  readonly text: string;
  /** Natural logarithm. */
  readonly logprob: number;
}

/** A token of the answer's text, and what might have stood in its place. */
export interface TokenReport extends TokenChance {
  readonly top: readonly TokenChance[];
}

export type AnswerEvent =
  | { readonly kind: 'text'; readonly text: string; readonly tokens: readonly TokenReport[] }
  | ToolEvent;

export type AnswerEnd =
  | { readonly kind: 'stop' | 'length' | 'tool_calls' | 'cancelled' }
  | { readonly kind: 'failed'; readonly error: Error };

export interface ToolUse {
  readonly tools: readonly CallableTool[];
  readonly syntax: ToolSyntax;
  /** What may follow the opening of a call. */
  readonly grammar: LlamaGrammar;
  /** The prompt ends with the opening of a call, so all of the answer is calls. */
  readonly isForced: boolean;
}

export interface AnswerSettings {
  readonly prompt: readonly number[];
  readonly stops: readonly string[];
  readonly tools?: ToolUse | undefined;
  readonly detokenize: Detokenize;
  tokenize(text: string): readonly number[];
  onEvent(event: AnswerEvent): void;
  onEnd(end: AnswerEnd): void;
}

/** Makes text, and calls of tools, of the tokens of one generation. */
export class Answer {
  private tokenText: TokenText;
  private readonly filter: StopFilter;
  private calls: ToolCallReader | undefined;
  /** Length of the text with each token, and how much of it has been said. */
  private readonly textEnds: number[] = [];
  private saidLength = 0;
  private readonly reports: { end: number; report: TokenReport }[] = [];

  constructor(private readonly settings: AnswerSettings) {
    const { detokenize, prompt, stops, tools } = settings;
    this.tokenText = new TokenText(detokenize, prompt);
    const isWatching = tools !== undefined && !tools.isForced;
    this.filter = new StopFilter(isWatching ? [...stops, tools.syntax.trigger] : stops);
    if (tools?.isForced === true) this.calls = new ToolCallReader(tools.tools, tools.syntax);
  }

  onToken(step: GeneratedToken): NextMove {
    const piece = this.tokenText.push(step.token);
    if (this.calls !== undefined) {
      for (const event of this.calls.push(piece)) this.settings.onEvent(event);
      return 'go on';
    }
    this.textEnds.push((this.textEnds.at(-1) ?? 0) + piece.length);
    this.report(step);
    const { text, met } = this.filter.push(piece);
    this.say(text);
    if (met === undefined) return 'go on';
    const { tools } = this.settings;
    return tools !== undefined && met === tools.syntax.trigger ? this.beginCalls(tools) : 'stop';
  }

  onEnd(end: GenerationEnd): void {
    // After a stop string there is nothing left to say.
    if (end.kind === 'done' || end.kind === 'length') this.sayRest();
    this.settings.onEnd(this.endOf(end));
  }

  private sayRest(): void {
    const piece = this.tokenText.end();
    if (this.calls !== undefined) {
      for (const event of this.calls.push(piece)) this.settings.onEvent(event);
      return;
    }
    const { text, met } = this.filter.push(piece);
    this.say(met === undefined ? text + this.filter.end() : text);
    if (this.reports.length > 0) this.say('', Infinity);
  }

  private endOf(end: GenerationEnd): AnswerEnd {
    switch (end.kind) {
      case 'done':
      case 'stopped':
        return { kind: (this.calls?.callCount ?? 0) > 0 ? 'tool_calls' : 'stop' };
      case 'length':
      case 'cancelled':
        return { kind: end.kind };
      case 'failed':
        return end;
    }
  }

  /** The model has written, in its own way, that a call begins; it goes on in the one way that is read here. */
  private beginCalls(tools: ToolUse): NextMove {
    const from = this.textEnds.findIndex((end) => end > this.saidLength);
    const keptLength = this.saidLength - (this.textEnds[from - 1] ?? 0);
    const kept = this.lastSaid.slice(this.lastSaid.length - keptLength);
    this.calls = new ToolCallReader(tools.tools, tools.syntax);
    this.tokenText = new TokenText(this.settings.detokenize, tools.syntax.openTokens);
    const keptTokens = keptLength === 0 ? [] : this.settings.tokenize(kept);
    return { from, tokens: [...keptTokens, ...tools.syntax.openTokens], grammar: tools.grammar };
  }

  private lastSaid = '';

  private say(text: string, reportedLength = this.saidLength + text.length): void {
    this.saidLength += text.length;
    this.lastSaid = text === '' ? this.lastSaid : text;
    const tokens: TokenReport[] = [];
    while (this.reports.length > 0 && this.reports[0]!.end <= reportedLength) tokens.push(this.reports.shift()!.report);
    if (text !== '' || tokens.length > 0) this.settings.onEvent({ kind: 'text', text, tokens });
  }

  private report({ token, logprob, top = [] }: GeneratedToken): void {
    if (logprob === undefined) return;
    const textOf = (one: number): string => this.settings.detokenize([one], []);
    const report = {
      text: textOf(token),
      logprob,
      top: top.map(([other, otherLogprob]) => ({ text: textOf(other), logprob: otherLogprob })),
    };
    this.reports.push({ end: this.textEnds.at(-1)!, report });
  }
}
