import { namePattern, versionPattern } from '#libs/kernel';
import { z } from 'zod';
import { datatypeNames } from './datatype.js';

const sha256Hex = z.string().regex(/^[0-9a-f]{64}$/, 'must be 64 lower-case hex digits');

const tensorSpec = z.strictObject({
  name: z.string().min(1).max(128),
  datatype: z.enum(datatypeNames),
  shape: z
    .array(
      z
        .int()
        .min(-1)
        .max(2 ** 31 - 1),
    )
    .min(1)
    .max(8),
  labels: z.array(z.string()).max(10_000).optional(),
});

/**
 * `sluice.json`: what CI states about a model version. Files are relative to the artifact's root.
 * Sizes of `shape` are counts, -1 where a request chooses; the first one is the batch.
 */
export const manifestSchema = z.strictObject({
  schemaVersion: z.literal(1),
  name: z.string().regex(namePattern, 'must be lower-case letters, digits, - and _'),
  version: z.string().regex(versionPattern, 'must be letters, digits, dots, - and _'),
  format: z.enum(['onnx']),
  description: z.string().max(2_000).optional(),
  files: z
    .array(z.strictObject({ path: z.string().min(1).max(512), sha256: sha256Hex, bytes: z.int().min(0).optional() }))
    .min(1)
    .max(1_000),
  inputs: z.array(tensorSpec).min(1).max(256),
  outputs: z.array(tensorSpec).min(1).max(256),
  trainedOn: z
    .strictObject({
      dataset: z.string().min(1),
      version: z.string().min(1),
      sha256: sha256Hex.optional(),
      licence: z.string().optional(),
    })
    .optional(),
  evaluation: z
    .strictObject({
      dataset: z.string().min(1),
      split: z.string().optional(),
      rows: z.int().min(1).optional(),
      metrics: z.record(z.string(), z.number()),
    })
    .optional(),
  /** Samples that a replica runs before it counts as ready: input name to rows. */
  warmup: z
    .array(z.record(z.string(), z.array(z.unknown())))
    .max(16)
    .optional(),
  batching: z.strictObject({ maxBatchRows: z.int().min(1).max(4_096).optional() }).optional(),
  signature: z.strictObject({ algorithm: z.string(), keyId: z.string(), value: z.string() }).optional(),
});

export type Manifest = z.infer<typeof manifestSchema>;
