import { type DatatypeName, type Tensor, type TensorData, datatypeNames } from '#libs/inference';
import fc from 'fast-check';

const valuesOf: Record<DatatypeName, (count: number) => fc.Arbitrary<TensorData>> = {
  BOOL: (count) => fc.uint8Array({ ...sized(count), max: 1 }),
  UINT8: (count) => fc.uint8Array(sized(count)),
  UINT16: (count) => fc.uint16Array(sized(count)),
  UINT32: (count) => fc.uint32Array(sized(count)),
  UINT64: (count) => fc.bigUint64Array(sized(count)),
  INT8: (count) => fc.int8Array(sized(count)),
  INT16: (count) => fc.int16Array(sized(count)),
  INT32: (count) => fc.int32Array(sized(count)),
  INT64: (count) => fc.bigInt64Array(sized(count)),
  FP16: (count) => fc.uint16Array(sized(count)),
  BF16: (count) => fc.uint16Array(sized(count)),
  FP32: (count) => fc.float32Array(sized(count)),
  FP64: (count) => fc.float64Array(sized(count)),
  // `unit: 'binary'` makes every code point except half surrogates; NUL is no part of a text.
  BYTES: (count) =>
    fc.array(
      fc.string({ unit: 'binary', maxLength: 12 }).map((text) => text.replaceAll('\0', '')),
      sized(count),
    ),
};

const sized = (count: number) => ({ minLength: count, maxLength: count });

const product = (shape: readonly number[]): number => shape.reduce((count, size) => count * size, 1);

/** A tensor of any datatype with the given number of rows. */
export function arbitraryTensor(name: string, rows: number): fc.Arbitrary<Tensor> {
  return fc
    .record({
      datatype: fc.constantFrom(...datatypeNames),
      rest: fc.array(fc.integer({ min: 0, max: 3 }), { maxLength: 2 }),
    })
    .chain(({ datatype, rest }) => tensorOf(name, datatype, [rows, ...rest]));
}

export function tensorOf(name: string, datatype: DatatypeName, shape: readonly number[]): fc.Arbitrary<Tensor> {
  return valuesOf[datatype](product(shape)).map((data) => ({ name, datatype, shape, data }));
}

/** Some tensors with the same number of rows, as one request has them. */
export const arbitraryTensors: fc.Arbitrary<Tensor[]> = fc
  .record({ rows: fc.integer({ min: 1, max: 4 }), count: fc.integer({ min: 1, max: 4 }) })
  .chain(({ rows, count }) =>
    fc.tuple(...Array.from({ length: count }, (_value, index) => arbitraryTensor(`t${index}`, rows))),
  );

/** Requests that may share a batch: the same tensors but for the number of rows. */
export const arbitraryBatch: fc.Arbitrary<Tensor[][]> = arbitraryTensors.chain((model) =>
  fc
    .array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 5 })
    .chain((rowCounts) =>
      fc.tuple(
        ...rowCounts.map((rows) =>
          fc.tuple(...model.map(({ name, datatype, shape }) => tensorOf(name, datatype, [rows, ...shape.slice(1)]))),
        ),
      ),
    ),
);
