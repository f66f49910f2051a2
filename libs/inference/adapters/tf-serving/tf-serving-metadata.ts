import type { ReplicaMetadata } from '../../ports/replica.js';
import type { TensorSpec } from '../../tensors/tensor.js';
import { tensorflowDatatypes } from './tf-serving-values.js';

const defaultSignature = 'serving_default';

/**
 * Reads `GET .../metadata`: a GetModelMetadataResponse with the map of signatures, in protobuf's JSON form. Tensors of
 * kinds that the REST API does not carry are left out.
 * @throws SyntaxError when it is something else, or has no such signature
 */
export function metadataOf(body: Buffer, signature = defaultSignature): ReplicaMetadata {
  const whole = JSON.parse(body.toString()) as unknown;
  const model = at(whole, 'model_spec');
  // The outer name is that of the field in the map, the inner one that of the map's own field.
  const definition = at(at(at(at(whole, 'metadata'), 'signature_def'), 'signature_def'), signature);
  if (definition === undefined) throw new SyntaxError(`the model has no signature ${signature}`);
  return {
    name: textOf(at(model, 'name')),
    version: textOf(at(model, 'version')),
    platform: 'tensorflow_serving',
    inputs: specsOf(at(definition, 'inputs')),
    outputs: specsOf(at(definition, 'outputs')),
  };
}

function specsOf(tensors: unknown): TensorSpec[] {
  if (typeof tensors !== 'object' || tensors === null) return [];
  return Object.entries(tensors).flatMap(([name, tensor]: [string, unknown]) => {
    const datatype = tensorflowDatatypes[textOf(at(tensor, 'dtype'))];
    if (datatype === undefined) return [];
    const dimensions = at(at(tensor, 'tensor_shape'), 'dim');
    // 64-bit integers are strings in protobuf's JSON form.
    const shape = Array.isArray(dimensions) ? dimensions.map((dimension) => Number(at(dimension, 'size'))) : [];
    return [{ name, datatype, shape }];
  });
}

const at = (value: unknown, key: string): unknown =>
  typeof value === 'object' && value !== null && Object.hasOwn(value, key)
    ? (value as Record<string, unknown>)[key]
    : undefined;

const textOf = (value: unknown): string =>
  typeof value === 'string' || typeof value === 'number' ? String(value) : '';
