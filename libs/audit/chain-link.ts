import { hash } from 'node:crypto';

/** The place of an event in the chain. `hash` can be checked by anybody, `mac` only by holders of the master key. */
export interface ChainLink {
  position: number;
  seq: number;
  hash: Buffer;
  mac: Buffer;
  keyId: string;
}

export interface ChainHead {
  position: number;
  hash: Buffer;
}

/** What the first row is bound to. */
export const chainStart: ChainHead = { position: 0, hash: Buffer.alloc(32) };

/**
 * The text that is hashed and authenticated for a row: RFC 8785 JSON of `{event, position, previous, seq}`, where
 * `previous` is the hash of the row before. Put together by hand, since the event's text exists already.
 */
export function linkText(previous: ChainHead, seq: number, eventText: string): string {
  return boundText(previous.position + 1, previous.hash.toString('hex'), seq, eventText);
}

/** The same, from parts as the chainer has them. @param previousHash hexadecimal */
export const boundText = (position: number, previousHash: string, seq: number, eventText: string): string =>
  `{"event":${eventText},"position":${position},"previous":"${previousHash}","seq":${seq}}`;

export const hashOf = (text: string): Buffer => hash('sha256', text, 'buffer');

/** Hexadecimal. */
export const hexHashOf = (text: string): string => hash('sha256', text, 'hex');
