import { randomUUID } from 'node:crypto';

const timeDigits = 12;

/** A UUID of version 7 (RFC 9562): it begins with its time, so that a record is found by its id in the place of its day. */
export function newRequestId(): string {
  const time = Date.now().toString(16).padStart(timeDigits, '0');
  const random = randomUUID();
  return `${time.slice(0, 8)}-${time.slice(8)}-7${random.slice(15)}`;
}
