import { headerName, headerValue, manifestSchema } from '#libs/inference';
import { z } from 'zod';

export const folderSchema = z.strictObject({
  path: z.string().min(1).max(4_096).describe('absolute path of a folder with sluice.json, on the machine of the API'),
});

export const manifestAloneSchema = z.strictObject({
  manifest: z
    .record(z.string(), z.unknown())
    .describe('the content of sluice.json, of format remote: such a version has no files'),
});

/** What a JSON body may name, apart from an archive. */
export const registrationSchema = z.union([folderSchema, manifestAloneSchema]);

export const newSecretHeadersSchema = z.strictObject({
  headers: z
    .record(headerName, headerValue.nullable())
    .refine((headers) => Object.keys(headers).length > 0, 'must name at least one header')
    .describe('values by name, null to take one away; what is not named stays'),
});
export type NewSecretHeaders = z.infer<typeof newSecretHeadersSchema>;

export const secretHeadersSchema = z.object({
  headers: z.array(
    z.object({ name: z.string(), setAt: z.iso.datetime().nullable().describe('null while it has no value') }),
  ),
});

export const modelQuerySchema = z.strictObject({ model: z.string().max(64).optional() });
export type ModelQuery = z.infer<typeof modelQuerySchema>;

export const modelVersionSchema = z.object({
  model: z.string(),
  version: z.string(),
  format: z.string(),
  state: z.enum(['registered', 'archived']),
  contentDigest: z.string().describe('sha256 of the canonical manifest'),
  manifest: manifestSchema,
  registeredAt: z.iso.datetime(),
  registeredBy: z.string(),
});

export const modelListSchema = z.object({ versions: z.array(modelVersionSchema) });
