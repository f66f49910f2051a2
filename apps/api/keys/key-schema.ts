import { roles } from '#libs/access';
import { days, isName } from '#libs/kernel';
import { z } from 'zod';
import { nextCursorSchema } from '../http/page-query.js';

const ownerSchema = z.string().trim().min(1).max(100);
const laterSchema = z.iso
  .datetime({ offset: true })
  .refine((text) => Date.parse(text) > Date.now(), 'must lie in the future');
const placeSchema = z.union([z.cidrv4(), z.cidrv6(), z.ipv4(), z.ipv6()]);
const networkSchema = z
  .string()
  .refine(
    (text) => placeSchema.safeParse(text).success,
    'must be an address or a network, as 10.0.0.0/8 or 2001:db8::/32',
  );
const rolesSchema = z.array(z.enum(roles)).min(1).refine(isDistinct, 'must not name a role twice');

export const newKeySchema = z
  .strictObject({
    name: z.string().trim().min(1).max(100).describe('what it is for'),
    roles: rolesSchema.optional(),
    role: z.enum(roles).optional().describe('the same as roles with one role in it'),
    tenant: ownerSchema.optional().describe('id or name; left out: that of the caller'),
    project: ownerSchema.optional().describe('id or name; left out: the project default of the tenant'),
    person: z.uuid().optional().describe('the id of the person whose key it is'),
    serviceAccount: ownerSchema.optional().describe('id or name of the service account whose key it is'),
    tier: z.string().refine(isName, 'must be 1 to 64 lower-case letters, digits, - and _').optional(),
    expiresAt: laterSchema.optional(),
    endpoints: z
      .array(z.string().refine(isName, 'must be the name of an endpoint'))
      .min(1)
      .max(1_000)
      .optional()
      .describe('the only endpoints that it may know of; for the role caller'),
    networks: z.array(networkSchema).min(1).max(100).optional().describe('the only networks that it may be used from'),
  })
  .refine(({ role, roles: list }) => (role === undefined) !== (list === undefined), {
    path: ['roles'],
    error: 'name the roles of the key, either by roles or by role',
  })
  .refine(({ person, serviceAccount }) => person === undefined || serviceAccount === undefined, {
    path: ['serviceAccount'],
    error: 'a key belongs to a person or to a service account, not to both',
  })
  .refine(({ endpoints, role, roles: list = [role ?? 'caller'] }) => endpoints === undefined || list.every(isCaller), {
    path: ['endpoints'],
    error: 'only a key with the role caller alone can be bound to endpoints',
  });
export type NewKeyBody = z.infer<typeof newKeySchema>;

export const rotationSchema = z
  .strictObject({
    overlapSeconds: z.int().min(0).max(days(30)).default(days(1)).describe('how long the earlier key stays good'),
  })
  .prefault({});
export type RotationBody = z.infer<typeof rotationSchema>;

const timeSchema = z.iso.datetime();

export const keySchema = z.object({
  id: z.uuid(),
  prefix: z.string().describe('the first characters, to tell keys apart'),
  name: z.string(),
  roles: z.array(z.enum(roles)),
  tenantId: z.uuid(),
  projectId: z.uuid(),
  personId: z.uuid().nullable(),
  serviceAccountId: z.uuid().nullable(),
  tier: z.string().nullable().describe('null: that of the tenant'),
  endpoints: z.array(z.string()).nullable().describe('null: all'),
  networks: z.array(z.string()).nullable().describe('null: all'),
  createdAt: timeSchema,
  createdBy: z.string(),
  expiresAt: timeSchema.nullable(),
  revokedAt: timeSchema.nullable(),
  lastUsedAt: timeSchema.nullable().describe('to about half a minute'),
  replaces: z.uuid().nullable().describe('the key in whose place it came'),
});

export const shownKeySchema = keySchema.extend({ key: z.string().describe('the key itself, shown this once') });
export const keyListSchema = z.object({ keys: z.array(keySchema), nextCursor: nextCursorSchema });

function isDistinct(list: readonly string[]): boolean {
  return new Set(list).size === list.length;
}

function isCaller(role: string): boolean {
  return role === 'caller';
}
