import { isDeepStrictEqual } from 'node:util';
import { namePattern, versionPattern } from '#libs/kernel';
import { z } from 'zod';
import { isCarried } from '../adapters/tf-serving/tf-serving-values.js';
import { datatypeNames } from '../tensors/datatype.js';
import { languageSignatures } from '../language/language-signature.js';
import {
  batchingSchema,
  instancesSchema,
  languageSchema,
  onnxSettingsSchema,
  queueSchema,
  remoteSchema,
  responseCacheSchema,
  signatureSchema,
} from './manifest-settings.js';

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

export const modelFormats = [
  'onnx',
  'torchscript',
  'torch-export',
  'tensorflow-savedmodel',
  'keras',
  'gguf',
  'remote',
] as const;
export type ModelFormat = (typeof modelFormats)[number];

/** `tensors` answers the Open Inference Protocol alone; the two others answer the OpenAI protocol as well. */
export const modelTasks = ['tensors', 'text-generation', 'embedding'] as const;
export type ModelTask = (typeof modelTasks)[number];

/**
 * `sluice.json`: what CI states about a model version. Files are relative to the artifact's root.
 * Sizes of `shape` are counts, -1 where a request chooses; the first one is the batch.
 */
const statedManifest = z.strictObject({
  schemaVersion: z.literal(1),
  name: z.string().regex(namePattern, 'must be lower-case letters, digits, - and _'),
  version: z.string().regex(versionPattern, 'must be letters, digits, dots, - and _'),
  format: z.enum(modelFormats),
  task: z.enum(modelTasks).optional(),
  description: z.string().max(2_000).optional(),
  files: z
    .array(z.strictObject({ path: z.string().min(1).max(512), sha256: sha256Hex, bytes: z.int().min(0).optional() }))
    .max(1_000)
    .default([]),
  /** Language models may leave both out: theirs are always the same. */
  inputs: z.array(tensorSpec).min(1).max(256).optional(),
  outputs: z.array(tensorSpec).min(1).max(256).optional(),
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
  batching: batchingSchema.optional(),
  queue: queueSchema.optional(),
  instances: instancesSchema.optional(),
  responseCache: responseCacheSchema.optional(),
  onnx: onnxSettingsSchema.optional(),
  language: languageSchema.optional(),
  remote: remoteSchema.optional(),
  /** Lets a format run that carries code (a Keras Lambda layer, say), for this model alone. */
  allowCode: z.boolean().optional(),
  signatures: z.array(signatureSchema).max(16).optional(),
});

/** What a request may add to an artifact whose layout does not say it. */
export const manifestPartSchema = statedManifest
  .pick({
    task: true,
    description: true,
    inputs: true,
    outputs: true,
    trainedOn: true,
    evaluation: true,
    warmup: true,
    batching: true,
    queue: true,
    instances: true,
    responseCache: true,
    onnx: true,
    language: true,
    allowCode: true,
  })
  .strict();
export type ManifestPart = z.infer<typeof manifestPartSchema>;

type StatedManifest = z.infer<typeof statedManifest>;

export type Manifest = StatedManifest & { inputs: TensorSpecs; outputs: TensorSpecs };
type TensorSpecs = NonNullable<StatedManifest['inputs']>;

export function taskOf({ task, format, remote }: Pick<StatedManifest, 'task' | 'format' | 'remote'>): ModelTask {
  if (task !== undefined) return task;
  return format === 'gguf' || remote?.protocol === 'openai' ? 'text-generation' : 'tensors';
}

/** What the section's own schema cannot see. */
function remoteProblem(stated: StatedManifest, remote: NonNullable<StatedManifest['remote']>): string | undefined {
  if (stated.files.length > 0) return 'runs elsewhere, so the version has no files: leave files empty';
  const { protocol, headers = {}, secretHeaders = [] } = remote;
  const twice = secretHeaders.find(
    (name, index) => Object.hasOwn(headers, name) || secretHeaders.indexOf(name) < index,
  );
  if (twice !== undefined) return `header ${twice} is named twice`;
  if (protocol === 'openai' && taskOf(stated) === 'tensors') return 'protocol openai serves no tensors: leave task out';
  if (protocol !== 'openai' && taskOf(stated) !== 'tensors') return `protocol ${protocol} serves tensors alone`;
  if (protocol !== 'tf-serving') return remote.tfServing && 'tfServing stands only beside protocol tf-serving';
  const foreign = [...(stated.inputs ?? []), ...(stated.outputs ?? [])].find(({ datatype }) => !isCarried(datatype));
  return foreign && `TensorFlow Serving's REST API carries no ${foreign.datatype}, which tensor ${foreign.name} is`;
}

export const manifestSchema = statedManifest.transform((stated, ctx): Manifest => {
  const problem = (path: string, message: string): never => {
    ctx.addIssue({ code: 'custom', path: [path], message });
    return z.NEVER;
  };
  if ((stated.format === 'remote') !== (stated.remote !== undefined))
    return problem('remote', 'stands in manifests of format remote, and in no others');
  const wrongRemote = stated.remote && remoteProblem(stated, stated.remote);
  if (wrongRemote !== undefined) return problem('remote', wrongRemote);
  if (stated.format !== 'remote' && stated.files.length === 0) return problem('files', 'must name at least one file');
  const task = taskOf(stated);
  if (task === 'tensors') {
    const { inputs, outputs } = stated;
    if (inputs === undefined) return problem('inputs', 'is missing');
    if (outputs === undefined) return problem('outputs', 'is missing');
    return { ...stated, inputs, outputs };
  }
  // What the registry has stored is read again, and has them.
  const { inputs, outputs } = languageSignatures[task];
  if (!isDeepStrictEqual(stated.inputs ?? inputs, inputs) || !isDeepStrictEqual(stated.outputs ?? outputs, outputs))
    return problem('inputs', 'a language model has always the same inputs and outputs: leave both out');
  return { ...stated, inputs, outputs };
});
