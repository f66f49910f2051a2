import { headerName, headerValue, layoutNames, manifestPartSchema, manifestSchema } from '#libs/inference';
import { z } from 'zod';
import { plainText } from '../http/plain-text.js';

const name = plainText(64).describe('where the artifact has no sluice.json that states it');
const version = plainText(64).describe('where the artifact has no sluice.json that states it');

/** Where a version lies, and what its layout does not say of it. */
export const originSchema = z
  .strictObject({
    path: z.string().min(1).max(4_096).optional().describe('absolute path of a folder, on the machine of the API'),
    source: plainText(1_024)
      .regex(/^(?:s3|oci):\/\//, 'must begin with s3:// or oci://')
      .optional()
      .describe('s3://bucket/prefix, s3://bucket/model.tar.gz or oci://registry/repository:tag'),
    name: name.optional(),
    version: version.optional(),
    manifest: manifestPartSchema
      .optional()
      .describe('parts of the manifest that a layout other than sluice.json cannot say'),
  })
  .refine(({ path, source }) => (path === undefined) !== (source === undefined), 'send either path or source');
export type Origin = z.infer<typeof originSchema>;

export const uploadQuerySchema = z.strictObject({ name: name.optional(), version: version.optional() });
export type UploadQuery = z.infer<typeof uploadQuerySchema>;

export const manifestAloneSchema = z.strictObject({
  manifest: z
    .record(z.string(), z.unknown())
    .describe('the content of sluice.json, of format remote: such a version has no files'),
});

/** What a JSON body may name, apart from an archive. */
export const registrationSchema = z.union([originSchema, manifestAloneSchema]);

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
  layout: z
    .enum(layoutNames)
    .describe('the layout that it came in; all but sluice were turned into the manifest shown'),
  source: z.string().nullable().describe('where it was fetched from; null for a folder or an upload'),
  warnings: z.array(z.string()).describe('what was asked for and is not honoured'),
  registeredAt: z.iso.datetime(),
  registeredBy: z.string(),
});

export const modelListSchema = z.object({ versions: z.array(modelVersionSchema) });
