import ort from 'onnxruntime-node';
import type { DatatypeName } from '../../tensors/datatype.js';
import { type NumericData, type Tensor, dataArrays } from '../../tensors/tensor.js';
import { bfloat16ToFloat, floatToBfloat16 } from './bfloat16.js';

/** The runtime's names. BF16 travels as FP32, which holds each of its values: see bridged-graph.ts. */
const onnxTypes = {
  BOOL: 'bool',
  UINT8: 'uint8',
  UINT16: 'uint16',
  UINT32: 'uint32',
  UINT64: 'uint64',
  INT8: 'int8',
  INT16: 'int16',
  INT32: 'int32',
  INT64: 'int64',
  FP16: 'float16',
  BF16: 'float32',
  FP32: 'float32',
  FP64: 'float64',
  BYTES: 'string',
} as const satisfies Record<DatatypeName, ort.Tensor.Type>;

export const onnxTypeOf = (datatype: DatatypeName): ort.Tensor.Type => onnxTypes[datatype];

/** The runtime reads the same memory: nothing is copied, but for BF16. */
export function toOnnxTensor({ datatype, shape, data }: Tensor): ort.Tensor {
  const values = datatype === 'BF16' ? bfloat16ToFloat(data as Uint16Array) : data;
  // The union of all typed arrays matches no single overload; the datatype has decided which one it is.
  const tensor = new ort.Tensor(onnxTypes[datatype] as 'float32', values as Float32Array, shape);
  if (datatype === 'FP16') keepRawHalves(tensor, values as Uint16Array);
  return tensor;
}

// Where the engine has a 16-bit float array, the constructor makes one, and the native part then takes it for an empty one
// (https://github.com/microsoft/onnxruntime/pull/32323). It reads the plain 16-bit array as it should.
function keepRawHalves(tensor: ort.Tensor, halves: Uint16Array): void {
  Object.defineProperty(tensor, 'cpuData', { value: halves });
}

export function fromOnnxTensor(name: string, datatype: DatatypeName, { type, dims, data }: ort.Tensor): Tensor {
  if (type !== onnxTypes[datatype]) throw new Error(`output ${name} came as ${type} instead of ${datatype}`);
  return { name, datatype, shape: dims, data: valuesOf(datatype, data) };
}

function valuesOf(datatype: DatatypeName, data: ort.Tensor['data']): Tensor['data'] {
  if (datatype === 'BF16') return floatToBfloat16(data as Float32Array);
  return datatype === 'FP16' ? rawHalves(data as NumericData) : data;
}

// Newer engines have a 16-bit float array, and the runtime then answers with it; here the raw bits are wanted.
function rawHalves({ buffer, byteOffset, byteLength }: NumericData): Uint16Array {
  return new dataArrays.FP16(buffer as ArrayBuffer, byteOffset, byteLength / Uint16Array.BYTES_PER_ELEMENT);
}
