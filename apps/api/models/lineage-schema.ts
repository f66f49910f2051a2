import { manifestPartSchema } from '#libs/inference';
import { z } from 'zod';
import { plainText } from '../http/plain-text.js';

export const lineageQuerySchema = z.strictObject({
  dataset: plainText(512).describe('as in trainedOn.dataset of the manifests'),
  version: plainText(512).optional().describe('of the dataset; without it, all of them'),
});
export type LineageQuery = z.infer<typeof lineageQuerySchema>;

const { trainedOn, evaluation } = manifestPartSchema.shape;

export const versionLineageSchema = z.object({
  model: z.string(),
  version: z.string(),
  contentDigest: z.string(),
  state: z.enum(['registered', 'archived']),
  trainedOn: trainedOn.unwrap().nullable(),
  evaluation: evaluation.unwrap().nullable(),
  routes: z.array(
    z.object({
      endpoint: z.string(),
      revision: z.int(),
      arm: z.string(),
      weight: z.number().describe('percent'),
      from: z.iso.datetime(),
      until: z.iso.datetime().nullable().describe('null while it is live'),
    }),
  ),
  isCut: z.boolean().describe('there are more routes than these'),
});

export const datasetLineageSchema = z.object({
  dataset: z.string(),
  datasetVersion: z.string().nullable(),
  versions: z.array(versionLineageSchema),
  isCut: z.boolean().describe('there are more versions than these'),
});
