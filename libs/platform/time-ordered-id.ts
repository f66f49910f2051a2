import { randomUUID } from 'node:crypto';

const timeDigits = 12;

/** A UUID of version 7 (RFC 9562): it begins with its time, so that what it names is found in the place of its day. */
export function timeOrderedId(now: Date): string {
  const time = now.getTime().toString(16).padStart(timeDigits, '0');
  return `${time.slice(0, 8)}-${time.slice(8)}-7${randomUUID().slice(15)}`;
}
