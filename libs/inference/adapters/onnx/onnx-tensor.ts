import ort from 'onnxruntime-node';
import type { DatatypeName } from '../../datatype.js';
import { type NumericData, type Tensor, dataArrays } from '../../tensor.js';

/** The runtime's names. BF16 has none: onnxruntime-node makes no such tensors. */
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
  BF16: undefined,
  FP32: 'float32',
  FP64: 'float64',
  BYTES: 'string',
} as const satisfies Record<DatatypeName, ort.Tensor.Type | undefined>;

export const onnxTypeOf = (datatype: DatatypeName): ort.Tensor.Type | undefined => onnxTypes[datatype];

/** The runtime reads the same memory: nothing is copied. */
export function toOnnxTensor({ name, datatype, shape, data }: Tensor): ort.Tensor {
  const type = onnxTypes[datatype];
  if (type === undefined) throw new Error(`${name} is ${datatype}, which the runtime cannot take`);
  // The union of all typed arrays matches no single overload; the datatype has decided which one it is.
  return new ort.Tensor(type as 'float32', data as Float32Array, shape);
}

export function fromOnnxTensor(name: string, datatype: DatatypeName, { type, dims, data }: ort.Tensor): Tensor {
  if (type !== onnxTypes[datatype]) throw new Error(`output ${name} came as ${type} instead of ${datatype}`);
  return {
    name,
    datatype,
    shape: dims,
    data: datatype === 'FP16' ? rawHalves(data as NumericData) : data,
  };
}

// Newer engines have a 16-bit float array, and the runtime then answers with it; here the raw bits are wanted.
function rawHalves({ buffer, byteOffset, byteLength }: NumericData): Uint16Array {
  return new dataArrays.FP16(buffer as ArrayBuffer, byteOffset, byteLength / Uint16Array.BYTES_PER_ELEMENT);
}
