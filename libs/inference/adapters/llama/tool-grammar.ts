import { JsonGrammar, literal } from './json-grammar.js';
import type { CallableTool, ToolSyntax } from './tool-syntax.js';

export interface ToolGrammarSettings {
  readonly tools: readonly CallableTool[];
  /** Names of those whose schema has to be held whole. */
  readonly strict: ReadonlySet<string>;
  readonly syntax: ToolSyntax;
  readonly isParallel: boolean;
}

/** Most calls in one answer. */
const mostCalls = 16;

/** @returns GBNF for what follows the opening of a call. @throws SchemaRefusal whose path begins with the tool's index */
export function toolGrammar({ tools, strict, syntax, isParallel }: ToolGrammarSettings): string {
  const grammar = new JsonGrammar();
  const calls = tools.map(({ name, parameters = noArguments }) => {
    const written = grammar.add(parameters, strict.has(name));
    return `${literal(name + syntax.beforeArguments)} ${written}`;
  });
  const call = grammar.define(`(${calls.join(' | ')}) ${literal(syntax.close)}`);
  const more =
    isParallel && syntax.between !== undefined ? ` (${literal(syntax.between)} ${call}){0,${mostCalls - 1}}` : '';
  return grammar.text(`${call}${more} ${literal(syntax.end)}`);
}

const noArguments = { type: 'object', properties: {}, additionalProperties: false } as const;
