import { roles } from '#libs/access';
import { z } from 'zod';

const rolesSchema = z
  .array(z.enum(roles))
  .min(1)
  .refine((list) => new Set(list).size === list.length, 'must not name a role twice');

export const newKeySchema = z
  .strictObject({
    name: z.string().trim().min(1).max(100).describe('what it is for'),
    roles: rolesSchema.optional(),
    role: z.enum(roles).optional().describe('the same as roles with one role in it'),
    expiresAt: z.iso
      .datetime({ offset: true })
      .refine((text) => Date.parse(text) > Date.now(), 'must lie in the future')
      .optional(),
  })
  .refine(({ role, roles: list }) => (role === undefined) !== (list === undefined), {
    path: ['roles'],
    error: 'name the roles of the key, either by roles or by role',
  });
export type NewKeyBody = z.infer<typeof newKeySchema>;

/** Checked here, as the column takes nothing else. */
export const keyIdSchema = z.uuid('must be the id of a key');

export const keySchema = z.object({
  id: z.uuid(),
  prefix: z.string().describe('the first characters, to tell keys apart'),
  name: z.string(),
  roles: z.array(z.enum(roles)),
  createdAt: z.iso.datetime(),
  createdBy: z.string(),
  expiresAt: z.iso.datetime().nullable(),
  revokedAt: z.iso.datetime().nullable(),
});

export const shownKeySchema = keySchema.extend({ key: z.string().describe('the key itself, shown this once') });
export const keyListSchema = z.object({ keys: z.array(keySchema) });
