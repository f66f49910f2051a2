import { bucketCount, type LiveArm, type LiveEndpoint } from './route-table.js';

/**
 * The arm of one request. The same sticky key always has the same bucket, so it stays in an arm until the arm's share
 * shrinks below it. Without a key, chance decides. `random` gives [0, 1).
 */
export function chooseArm(
  route: LiveEndpoint,
  stickyKey: string | undefined,
  random: () => number,
): LiveArm | undefined {
  const { arms } = route;
  if (arms.length === 1) return arms[0];
  const bucket = stickyKey === undefined ? Math.floor(random() * bucketCount) : stickyBucket(route.name, stickyKey);
  for (const arm of arms) {
    if (bucket < arm.bucketEnd) return arm;
  }
  return arms.at(-1);
}

// Keys are nearly always short: hashing them from one buffer makes no garbage.
const scratch = Buffer.allocUnsafe(2_048);
const bytesPerUnit = 3;

/** @returns 0 to 9,999. The endpoint is part of the hash, so one key is not among the first ones everywhere. */
export function stickyBucket(endpoint: string, stickyKey: string): number {
  const text = `${endpoint}\0${stickyKey}`;
  if (text.length * bytesPerUnit > scratch.length) {
    const bytes = Buffer.from(text, 'utf8');
    return murmur3(bytes, bytes.length) % bucketCount;
  }
  return murmur3(scratch, scratch.write(text, 0, 'utf8')) % bucketCount;
}

/** MurmurHash3_x86_32 with seed 0 (Austin Appleby, public domain: github.com/aappleby/smhasher, MurmurHash3.cpp). */
export function murmur3(bytes: Uint8Array, length: number): number {
  let hash = 0;
  const blocksEnd = length - (length % 4);
  for (let at = 0; at < blocksEnd; at += 4) {
    const block = bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
    hash ^= scramble(block);
    hash = (hash << 13) | (hash >>> 19);
    hash = (Math.imul(hash, 5) + 0xe6546b64) | 0;
  }
  let tail = 0;
  for (let at = length - 1; at >= blocksEnd; at -= 1) tail = (tail << 8) | bytes[at]!;
  if (blocksEnd < length) hash ^= scramble(tail);
  return finish(hash ^ length);
}

function scramble(block: number): number {
  const mixed = Math.imul(block, 0xcc9e2d51);
  return Math.imul((mixed << 15) | (mixed >>> 17), 0x1b873593);
}

function finish(value: number): number {
  let hash = value ^ (value >>> 16);
  hash = Math.imul(hash, 0x85ebca6b);
  hash ^= hash >>> 13;
  hash = Math.imul(hash, 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
