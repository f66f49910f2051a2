import { keyIdOf } from './audit-keys.js';
import { isEndorsed, type KeyChange } from './checkpoint.js';

/**
 * Public keys by id that may be trusted when one of them is: a change of keys is signed by both, so that trust goes from
 * the given key to those before and after it.
 */
export function trustedKeys(given: readonly string[], changes: readonly KeyChange[]): Map<string, string> {
  const trusted = new Map(given.map((publicKey) => [keyIdOf(publicKey), publicKey]));
  for (let before = -1; before !== trusted.size;) {
    before = trusted.size;
    for (const change of changes) extend(trusted, change, changes);
  }
  return trusted;
}

function extend(trusted: Map<string, string>, change: KeyChange, changes: readonly KeyChange[]): void {
  const { keyId, publicKey, previousKeyId } = change;
  if (previousKeyId === null || !isOwnId(change)) return;
  const earlier = changes.find((other) => other.keyId === previousKeyId && isOwnId(other));
  const previousKey = trusted.get(previousKeyId) ?? earlier?.publicKey;
  if (previousKey === undefined || !isEndorsed(change, previousKey)) return;
  if (trusted.has(previousKeyId)) trusted.set(keyId, publicKey);
  else if (trusted.has(keyId)) trusted.set(previousKeyId, previousKey);
}

function isOwnId({ keyId, publicKey }: KeyChange): boolean {
  try {
    return keyIdOf(publicKey) === keyId;
  } catch {
    return false;
  }
}
