import { badInput } from './oip-json-values.js';
import { isObject } from './oip-members.js';

export type InferParameters = Readonly<Record<string, string | number | boolean>>;

/** How a request wants to be scheduled (Triton's schedule policy extension). */
export interface Scheduling {
  readonly priority?: number | undefined;
  readonly timeoutMs?: number | undefined;
}

const noParameters: InferParameters = Object.freeze({});
const noScheduling: Scheduling = Object.freeze({});
const microsecondsPerMs = 1_000;

/** @throws SLU_INFERENCE_INPUT */
export function readParameters(given: unknown, field: string): InferParameters {
  if (given === undefined) return noParameters;
  if (!isObject(given)) throw badInput(field, 'must be an object');
  for (const [key, value] of Object.entries(given)) {
    if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') continue;
    throw badInput(`${field}.${key.slice(0, 64)}`, 'must be a string, a number or a boolean');
  }
  return given as InferParameters;
}

/**
 * Reads `priority` (1 is the most urgent) and `timeout` (microseconds) of a request; 0 is the same as none, as in Triton.
 * A request of a sequence is refused: it would be answered as if it stood alone.
 * @throws SLU_INFERENCE_INPUT
 */
export function readScheduling(parameters: InferParameters): Scheduling {
  if (parameters === noParameters) return noScheduling;
  refuseSequences(parameters);
  const binaryOutput = parameters['binary_data_output'];
  if (binaryOutput !== undefined && typeof binaryOutput !== 'boolean')
    throw badInput('parameters.binary_data_output', 'must be true or false');
  const priority = wholeNumber(parameters, 'priority', 'must be a whole number, 1 for the most urgent');
  const timeout = wholeNumber(parameters, 'timeout', 'must be a whole number of microseconds');
  return {
    priority: priority || undefined,
    timeoutMs: timeout === undefined ? undefined : timeout / microsecondsPerMs,
  };
}

function refuseSequences(parameters: InferParameters): void {
  for (const name of ['sequence_id', 'sequence_start', 'sequence_end']) {
    const value = parameters[name];
    // Clients that know no sequences may still send what stands for none.
    if (value === undefined || value === 0 || value === '' || value === false) continue;
    throw badInput(`parameters.${name}`, 'is not supported: every request stands alone, no state is kept between two');
  }
}

function wholeNumber(parameters: InferParameters, name: string, problem: string): number | undefined {
  const value = parameters[name];
  if (value === undefined || value === 0) return undefined;
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 0) throw badInput(`parameters.${name}`, problem);
  return value;
}
