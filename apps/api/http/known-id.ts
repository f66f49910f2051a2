import { sluiceError, type ErrorCode } from '#libs/kernel';
import { z } from 'zod';

const shownLength = 40;

/** What has not the shape of an id is answered as one that nobody knows. @throws the given error, naming the start of it */
export function requireUuid(id: string, unknown: ErrorCode): string {
  if (!z.uuid().safeParse(id).success) throw sluiceError(unknown, { id: id.slice(0, shownLength) });
  return id;
}
