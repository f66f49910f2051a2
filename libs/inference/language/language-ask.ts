import type { RequestMeter } from '#libs/access';
import { sluiceError, type SluiceError } from '#libs/kernel';
import type { CallerPresence } from '../batching/batcher-caller.js';
import type { RequestHolder } from '../ports/payload-tap.js';
import type { TokenUsage } from './language-answer.js';
import type { LanguagePath } from '../ports/language-replica.js';

/** One request to a language model, checked by its protocol. */
export interface LanguageAsk {
  endpoint: string;
  /** Asks for exactly this version, apart from the arms. */
  version?: string | undefined;
  path: LanguagePath;
  /** The checked request; `model` and what the stream needs are set here. */
  body: Readonly<Record<string, unknown>>;
  isStream: boolean;
  /** The caller asked for the chunk with the usage. */
  wantsUsage: boolean;
  /** How many answers there will be. */
  choices: number;
  /** The least that the prompt can be; `field` is where it stands. */
  prompt: { field: string; characters: number; tokens: number };
  bytesIn: number;
  requestId: string;
  stickyKey?: string | undefined;
  keyId?: string | undefined;
  /** Whose request it is, for the records. */
  holder?: RequestHolder | undefined;
  /** The only endpoints that the caller may know of; left out: all. */
  visible?: ReadonlySet<string> | undefined;
  traceparent?: string | undefined;
  caller?: CallerPresence | undefined;
  /** Keeps the account of what the request may use and did. */
  meter?: RequestMeter | undefined;
  /** Called once, when the exchange has ended in whatever way. */
  onEnded?: ((end: LanguageEnd) => void) | undefined;
}

/** What whoever asked has to know of the end. */
export interface LanguageEnd {
  error: SluiceError | undefined;
  usage: TokenUsage;
  /** It went to a model server, and so used something. */
  wasAsked: boolean;
}

/** `model` stands first, where a replica finds it at once to put its own name there. */
export function requestBody({ endpoint, body, isStream, path }: LanguageAsk): Buffer {
  const given = body['stream_options'] as Record<string, unknown> | undefined;
  // Asked for in any case: what a stream used is known from there alone.
  const options = isStream && path !== '/v1/embeddings' ? { stream_options: { ...given, include_usage: true } } : {};
  try {
    return Buffer.from(JSON.stringify({ model: endpoint, ...body, ...options }));
  } catch (cause) {
    // What could be read can be written, but for the depth.
    throw sluiceError('SLU_INFERENCE_INPUT', { field: 'body', problem: 'is nested too deeply' }, { cause });
  }
}
