import { badInput } from './oip-json-values.js';
import type { TensorSpec } from '../tensors/tensor.js';

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/**
 * Finds the tensor that a request names.
 * @param likely where the name is looked for first: most requests follow the model's order
 * @throws SLU_INFERENCE_INPUT
 */
export function specIndex(name: unknown, specs: readonly TensorSpec[], likely: number, field: string): number {
  if (typeof name !== 'string') throw badInput(`${field}.name`, 'must be a string');
  const at = specs[likely]?.name === name ? likely : specs.findIndex((spec) => spec.name === name);
  if (at < 0)
    throw badInput(
      `${field}.name`,
      `the model has no ${field.startsWith('in') ? 'input' : 'output'} ${quote(name)}; it has ${namesOf(specs)}`,
    );
  return at;
}

/** A name as errors show it: quoted, and not longer than a line. */
export const quote = (name: string): string => JSON.stringify(name.length > 80 ? `${name.slice(0, 80)}...` : name);

export const namesOf = (specs: readonly TensorSpec[]): string =>
  specs
    .slice(0, 10)
    .map(({ name }) => quote(name))
    .join(', ') + (specs.length > 10 ? ', ...' : '');
