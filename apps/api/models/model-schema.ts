import { manifestSchema } from '#libs/inference';
import { z } from 'zod';

export const folderSchema = z.strictObject({
  path: z.string().min(1).max(4_096).describe('absolute path of a folder with sluice.json, on the machine of the API'),
});
export type Folder = z.infer<typeof folderSchema>;

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
