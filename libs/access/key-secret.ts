import { derivedSecret } from '#libs/platform';
import { createHmac, randomBytes } from 'node:crypto';
import { crc32 } from 'node:zlib';

/**
 * `slu_`, 43 digits in base 62 (256 random bits), and a checksum of 6 digits: the CRC-32 of the 43 in base 62, as GitHub
 * writes its tokens. A scanner that finds such a text in code or logs can tell, without asking anybody, that it is a key.
 */
const keyPattern = /^slu_([0-9A-Za-z]{43})([0-9A-Za-z]{6})$/;
/** Keys of the first release: base64url, and no checksum. */
const earlierKeyPattern = /^slu_[A-Za-z0-9_-]{43}$/;
const digits = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const secretBytes = 32;
const secretLength = 43;
const checksumLength = 6;
/** `slu_` and six characters: enough for a person to tell keys apart, of no use for guessing one. */
const prefixLength = 10;

/** Could this be a key? One that was mistyped or cut off is told without a look at any key. */
export function isKeyShaped(text: string): boolean {
  const [, secret, checksum] = keyPattern.exec(text) ?? [];
  if (secret === undefined) return earlierKeyPattern.test(text);
  return checksum === checksumOf(secret);
}

/** A new key: 256 random bits, shown to its owner once and never stored. */
export function newKey(random: (bytes: number) => Buffer = randomBytes): string {
  const secret = inBase62(BigInt(`0x${random(secretBytes).toString('hex')}`), secretLength);
  return `slu_${secret}${checksumOf(secret)}`;
}

export const prefixOf = (key: string): string => key.slice(0, prefixLength);

const checksumOf = (secret: string): string => inBase62(BigInt(crc32(secret)), checksumLength);

function inBase62(value: bigint, length: number): string {
  const base = BigInt(digits.length);
  let [rest, text] = [value, ''];
  for (; rest > 0n; rest /= base) text = digits.charAt(Number(rest % base)) + text;
  return text.padStart(length, digits.charAt(0));
}

/** The secret under which keys are digested: a stolen database alone can neither test nor forge one. */
export class Pepper {
  private readonly secret: Buffer;

  constructor(masterKey: Buffer) {
    this.secret = derivedSecret(masterKey, 'sluice api key pepper');
  }

  digestOf(key: string): Buffer {
    return createHmac('sha256', this.secret).update(key).digest();
  }
}
