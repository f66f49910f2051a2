import { type Classes, classify } from './oip-classification.js';
import { badInput } from './oip-json-values.js';
import { isObject, quote, specIndex } from './oip-members.js';
import { type InferParameters, readParameters } from './oip-parameters.js';
import type { Tensor, TensorSpec } from '../tensors/tensor.js';

export interface RequestedOutput {
  readonly name: string;
  readonly parameters?: InferParameters | undefined;
  /** Asks for the highest values by name instead of all values. */
  readonly classes?: Classes | undefined;
}

const mostClasses = 2 ** 31 - 1;

/** @throws SLU_INFERENCE_INPUT */
export function readRequestedOutputs(given: unknown, specs: readonly TensorSpec[]): RequestedOutput[] | undefined {
  if (given === undefined) return undefined;
  if (!Array.isArray(given)) throw badInput('outputs', 'must be an array');
  if (given.length === 0) return undefined;
  const seen = new Set<string>();
  return given.map((entry: unknown, index) => {
    const field = `outputs[${index}]`;
    if (!isObject(entry)) throw badInput(field, 'must be an object with a name');
    const spec = specs[specIndex(entry['name'], specs, index, field)]!;
    const { name } = spec;
    if (seen.has(name)) throw badInput(`${field}.name`, `output ${quote(name)} is asked for twice`);
    seen.add(name);
    const parameters = readParameters(entry['parameters'], `${field}.parameters`);
    // Passing this over would give an answer of another form than the caller asked for.
    if (parameters['shared_memory_region'] !== undefined) {
      const problem = 'is not supported: the server writes to no memory but its own, leave it out';
      throw badInput(`${field}.parameters.shared_memory_region`, problem);
    }
    const isBinary = parameters['binary_data'];
    if (isBinary !== undefined && typeof isBinary !== 'boolean')
      throw badInput(`${field}.parameters.binary_data`, 'must be true or false');
    return { name, parameters, classes: readClasses(parameters['classification'], spec, field) };
  });
}

/** Puts a model's outputs into the order, the selection and the form that a request asks for. */
export function selectOutputs(
  outputs: readonly Tensor[],
  requested: readonly RequestedOutput[] | undefined,
): readonly Tensor[] {
  if (requested === undefined) return outputs;
  return requested.flatMap(({ name, classes }) => {
    const named = outputs.filter((output) => output.name === name);
    return classes === undefined ? named : named.map((output) => classify(output, classes));
  });
}

function readClasses(given: unknown, { datatype, labels }: TensorSpec, field: string): Classes | undefined {
  if (given === undefined) return undefined;
  const path = `${field}.parameters.classification`;
  if (typeof given !== 'number' || !Number.isInteger(given) || given < 1 || given > mostClasses)
    throw badInput(path, 'must be a whole number of classes, at least 1');
  if (datatype === 'BYTES' || datatype === 'BOOL')
    throw badInput(path, `needs an output of numbers, and this one is ${datatype}: leave it out`);
  return { count: given, labels };
}
