import { roles } from '#libs/access';
import { z } from 'zod';

export const newKeySchema = z.strictObject({
  name: z.string().trim().min(1).max(100).describe('what it is for'),
  role: z.enum(roles),
  expiresAt: z.iso
    .datetime({ offset: true })
    .refine((text) => Date.parse(text) > Date.now(), 'must lie in the future')
    .optional(),
});
export type NewKeyBody = z.infer<typeof newKeySchema>;

/** Checked here, as the column takes nothing else. */
export const keyIdSchema = z.uuid('must be the id of a key');

export const keySchema = z.object({
  id: z.uuid(),
  prefix: z.string().describe('the first characters, to tell keys apart'),
  name: z.string(),
  role: z.enum(roles),
  createdAt: z.iso.datetime(),
  createdBy: z.string(),
  expiresAt: z.iso.datetime().nullable(),
  revokedAt: z.iso.datetime().nullable(),
});

export const shownKeySchema = keySchema.extend({ key: z.string().describe('the key itself, shown this once') });
export const keyListSchema = z.object({ keys: z.array(keySchema) });
