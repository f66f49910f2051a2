import { createHmac, hkdfSync, randomBytes } from 'node:crypto';

const keyPattern = /^slu_[A-Za-z0-9_-]{43}$/;
const secretBytes = 32;
const pepperBytes = 32;
/** `slu_` and six characters: enough for a person to tell keys apart, of no use for guessing one. */
const prefixLength = 10;

export const isKeyShaped = (text: string): boolean => keyPattern.test(text);

/** A new key: 256 random bits, shown to its owner once and never stored. */
export const newKey = (random: (bytes: number) => Buffer = randomBytes): string =>
  `slu_${random(secretBytes).toString('base64url')}`;

export const prefixOf = (key: string): string => key.slice(0, prefixLength);

/** The secret under which keys are digested: a stolen database alone can neither test nor forge one. */
export class Pepper {
  private readonly secret: Buffer;

  constructor(masterKey: Buffer) {
    this.secret = Buffer.from(hkdfSync('sha256', masterKey, Buffer.alloc(0), 'sluice api key pepper', pepperBytes));
  }

  digestOf(key: string): Buffer {
    return createHmac('sha256', this.secret).update(key).digest();
  }
}
