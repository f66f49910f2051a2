import { sluiceError } from '#libs/kernel';
import { createHash, createHmac } from 'node:crypto';

/** A request that may be sent again under one key. */
export interface IdempotentRequest {
  /** Whose key it is: another's key of the same text is another key. */
  actor: string;
  /** As the header has it. */
  key: string;
  method: string;
  /** With its query. */
  path: string;
  body: unknown;
}

const longestKey = 255;
/** Visible ASCII. A space would come from two headers in one, too. */
const keyPattern = /^[\x21-\x7e]+$/;

/**
 * The key in the header: `abc`, or `"abc"` as the IETF draft writes it (draft-ietf-httpapi-idempotency-key-header).
 * @throws SLU_REQUEST_IDEMPOTENCY_KEY
 */
export function idempotencyKeyOf(header: string): string {
  const key = /^"(.*)"$/.exec(header)?.[1] ?? header;
  const problem = problemOf(key);
  if (problem !== undefined) throw sluiceError('SLU_REQUEST_IDEMPOTENCY_KEY', { problem });
  return key;
}

function problemOf(key: string): string | undefined {
  if (key === '') return 'must not be empty';
  if (key.length > longestKey) return `must have at most ${longestKey} characters, not ${key.length}`;
  if (!keyPattern.test(key)) return 'must be one key of visible ASCII characters without spaces, a UUID for example';
  if (/^(?:Bearer|slu_)/i.test(key)) return 'must be a key for this one request, not an API key';
  return undefined;
}

export const keyDigestOf = (key: string): Buffer => createHash('sha256').update(key).digest();

/** Stands for method, path and body, whatever the order of the body's members. Without the secret nobody can test a guess. */
export function fingerprintOf({ method, path, body }: IdempotentRequest, secret: Buffer): Buffer {
  return createHmac('sha256', secret)
    .update(JSON.stringify([method, path, body ?? null], sortedMembers))
    .digest();
}

function sortedMembers(_name: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
}
