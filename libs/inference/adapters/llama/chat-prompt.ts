import type { ChatHistoryItem, ChatModelFunctions, ChatModelResponse, ChatWrapper, LlamaModel } from 'node-llama-cpp';
import type { CallableTool } from './tool-syntax.js';

export interface ToolCall {
  readonly id: string;
  readonly name: string;
  /** JSON, as the model wrote it. */
  readonly arguments: string;
}

export type ChatMessage =
  | { readonly role: 'system' | 'user'; readonly text: string }
  | { readonly role: 'assistant'; readonly text: string; readonly calls: readonly ToolCall[] }
  | { readonly role: 'tool'; readonly callId: string; readonly text: string };

export interface ChatPrompt {
  readonly tokens: readonly number[];
  /** Texts at which the template says that an answer ends, besides the model's own end tokens. */
  readonly stops: readonly string[];
}

/**
 * Writes a conversation down as the model was trained to read it. What people and tools say is text and never becomes a
 * control token, whatever stands in it.
 */
export function chatPrompt(
  template: ChatWrapper,
  model: LlamaModel,
  messages: readonly ChatMessage[],
  tools: readonly CallableTool[],
): ChatPrompt {
  const { contextText, stopGenerationTriggers } = template.generateContextState({
    chatHistory: historyOf(messages),
    ...(tools.length > 0 && { availableFunctions: functionsOf(tools), documentFunctionParams: true }),
  });
  const stops = stopGenerationTriggers.flatMap((trigger) => {
    const tokens = trigger.tokenize(model.tokenizer);
    const isEndToken = tokens.length === 1 && model.isEogToken(tokens[0]);
    const text = model.detokenize(tokens, true);
    return isEndToken || text === '' ? [] : [text];
  });
  return { tokens: contextText.tokenize(model.tokenizer), stops: [...new Set(stops)] };
}

function historyOf(messages: readonly ChatMessage[]): ChatHistoryItem[] {
  const results = new Map(
    messages.flatMap((message) => (message.role === 'tool' ? [[message.callId, message.text]] : [])),
  );
  const history: ChatHistoryItem[] = [];
  for (const message of messages) {
    switch (message.role) {
      case 'system':
      case 'user':
        history.push({ type: message.role, text: message.text });
        break;
      case 'assistant':
        history.push(modelTurn(message, results));
        break;
      case 'tool':
        // It stands with its call.
        break;
    }
  }
  // After a tool's result the model goes on with its own turn.
  if (messages.at(-1)?.role !== 'tool') history.push({ type: 'model', response: [] });
  return history;
}

function modelTurn(
  { text, calls }: Extract<ChatMessage, { role: 'assistant' }>,
  results: ReadonlyMap<string, string>,
): ChatModelResponse {
  const response: ChatModelResponse['response'] = text === '' ? [] : [text];
  for (const { id, name, arguments: written } of calls)
    response.push({
      type: 'functionCall',
      name,
      params: jsonOr(written),
      result: jsonOr(results.get(id) ?? ''),
      rawCall: undefined,
    });
  return { type: 'model', response };
}

function jsonOr(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text;
  }
}

const functionsOf = (tools: readonly CallableTool[]): ChatModelFunctions =>
  Object.fromEntries(
    tools.map(({ name, description, parameters }) => [
      name,
      {
        ...(description !== undefined && { description }),
        ...(parameters !== undefined && { params: documented(parameters) as never }),
      },
    ]),
  );

/** The documentation of the template knows `oneOf` alone. */
function documented(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(documented);
  if (typeof schema !== 'object' || schema === null) return schema;
  const parts = Object.entries(schema).map(([key, value]) => [key === 'anyOf' ? 'oneOf' : key, documented(value)]);
  return Object.fromEntries(parts) as unknown;
}
