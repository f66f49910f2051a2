import { sluiceError } from '#libs/kernel';
import type { InferParameters } from './oip-parameters.js';
import { bfloatValue, halfValue } from './oip-half-float.js';
import type { Tensor } from '../tensors/tensor.js';

export interface InferResponse {
  readonly modelName: string;
  readonly modelVersion: string;
  readonly id?: string | undefined;
  readonly outputs: readonly Tensor[];
  readonly parameters?: InferParameters | undefined;
}

/**
 * Writes an Open Inference Protocol v2 answer as JSON text: data flat in row-major order, 64-bit integers with all digits.
 * @throws SLU_INFERENCE_OUTPUT when an output is not finite, which JSON cannot carry
 */
export function renderInferResponse(response: InferResponse): string {
  let outputs = '';
  for (const output of response.outputs) {
    outputs += `${outputs === '' ? '' : ','}${renderTensor(output)}`;
  }
  return `{${renderResponseHead(response)},"outputs":[${outputs}]}`;
}

export function renderResponseHead({
  modelName,
  modelVersion,
  id,
  parameters,
}: Omit<InferResponse, 'outputs'>): string {
  let head = `"model_name":${JSON.stringify(modelName)},"model_version":${JSON.stringify(modelVersion)}`;
  if (id !== undefined) head += `,"id":${JSON.stringify(id)}`;
  if (parameters !== undefined) head += `,"parameters":${JSON.stringify(parameters)}`;
  return head;
}

/** One tensor with its values. @throws SLU_INFERENCE_OUTPUT as above */
export const renderTensor = (tensor: Tensor): string => `{${renderTensorHead(tensor)},"data":[${renderData(tensor)}]}`;

export function renderTensorHead({ name, datatype, shape }: Tensor): string {
  return `"name":${JSON.stringify(name)},"datatype":"${datatype}","shape":[${shape.join(',')}]`;
}

function renderData(tensor: Tensor): string {
  const { datatype, data } = tensor;
  switch (datatype) {
    case 'BYTES':
      return JSON.stringify(data).slice(1, -1);
    case 'BOOL':
      return Array.from(data as Uint8Array, (value) => value !== 0).join(',');
    case 'FP16':
      return renderFloats(Float32Array.from(data as Uint16Array, halfValue), tensor);
    case 'BF16':
      return renderFloats(Float32Array.from(data as Uint16Array, bfloatValue), tensor);
    case 'FP32':
      return renderFloats(data as Float32Array, tensor);
    case 'FP64':
      return renderFloats(data as Float64Array, tensor);
    default:
      return data.join(',');
  }
}

function renderFloats(values: Float32Array | Float64Array, { name }: Tensor): string {
  for (let index = 0; index < values.length; index += 1) {
    const value = values[index]!;
    if (value - value === 0) continue;
    throw sluiceError('SLU_INFERENCE_OUTPUT', {
      problem: `value ${index} of output ${name} is ${value}, which JSON cannot carry`,
    });
  }
  return values.join(',');
}
