import type { Replica, ReplicaCall } from './replica.js';

/** The OpenAI paths that a language replica answers. */
export type LanguagePath = '/v1/chat/completions' | '/v1/completions' | '/v1/embeddings' | '/v1/responses';

export interface LanguageAnswer {
  readonly status: number;
  /** Lower-case names. */
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  /** The body as it arrives. Leaving the loop early ends the exchange at the replica. */
  readonly body: AsyncIterable<Buffer>;
  /** Takes out of words of the server's own in the body what must not be shown. */
  readonly scrub?: ((text: string) => string) | undefined;
}

/** A replica that speaks the OpenAI protocol besides. Bodies pass as they are; who calls knows what stands in them. */
export interface LanguageReplica extends Replica {
  /**
   * Sends one request; resolves with the head of the answer, whatever its status. `call.timeoutMs` counts until the head
   * has come; `call.signal` ends the exchange at any time, and the replica stops generating. @throws ReplicaFailure
   */
  converse(path: LanguagePath, body: Buffer, call: ReplicaCall): Promise<LanguageAnswer>;
}

export const isLanguageReplica = (replica: Replica): replica is LanguageReplica => 'converse' in replica;
