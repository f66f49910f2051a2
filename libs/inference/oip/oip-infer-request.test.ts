import { describe, expect, it } from 'vitest';
import type { DatatypeName } from '../tensors/datatype.js';
import { parseInferRequest } from './oip-infer-request.js';
import { selectOutputs } from './oip-requested-outputs.js';
import type { TensorSpec } from '../tensors/tensor.js';

const x: TensorSpec = { name: 'x', datatype: 'FP32', shape: [-1, 2] };
const s: TensorSpec = { name: 's', datatype: 'BYTES', shape: [-1] };
const y: TensorSpec = { name: 'y', datatype: 'FP32', shape: [-1] };
const one = { inputs: [x], outputs: [y] };
const two = { inputs: [x, s], outputs: [y, s] };

const goodX = { name: 'x', datatype: 'FP32', shape: [1, 2], data: [1, 2] };
const goodS = { name: 's', datatype: 'BYTES', shape: [1], data: ['a'] };
const parseX = (more: object) => parseInferRequest({ inputs: [{ ...goodX, ...more }] }, one);

/** One value of one datatype, as a caller sends it. */
function parseValue(datatype: DatatypeName, value: unknown) {
  const model = { inputs: [{ name: 'v', datatype, shape: [-1] }], outputs: [] };
  const [tensor] = parseInferRequest({ inputs: [{ name: 'v', datatype, shape: [1], data: [value] }] }, model).inputs;
  return tensor!.data;
}

describe('a good request', () => {
  it("comes out in the model's input order, with its id and parameters", () => {
    const request = parseInferRequest({ id: '7', parameters: { a: 1, sticky_key: 'k' }, inputs: [goodS, goodX] }, two);
    expect(request).toEqual({
      id: '7',
      parameters: { a: 1, sticky_key: 'k' },
      outputs: undefined,
      inputs: [
        { name: 'x', datatype: 'FP32', shape: [1, 2], data: Float32Array.of(1, 2) },
        { name: 's', datatype: 'BYTES', shape: [1], data: ['a'] },
      ],
    });
  });

  it('may nest its data as its shape says', () => {
    const cube = { inputs: [{ name: 'c', datatype: 'INT32' as const, shape: [-1, 2, 2] }], outputs: [] };
    const data = [
      [
        [1, 2],
        [3, 4],
      ],
      [
        [5, 6],
        [7, 8],
      ],
    ];
    const [nested] = parseInferRequest(
      { inputs: [{ name: 'c', datatype: 'INT32', shape: [2, 2, 2], data }] },
      cube,
    ).inputs;
    expect(nested!.data).toEqual(Int32Array.of(1, 2, 3, 4, 5, 6, 7, 8));
  });

  it('may ask for outputs, and for binary ones though the answer will be JSON', () => {
    const request = parseInferRequest(
      { inputs: [goodX, goodS], outputs: [{ name: 's', parameters: { binary_data: true } }, { name: 'y' }] },
      two,
    );
    expect(request.outputs).toEqual([
      { name: 's', parameters: { binary_data: true } },
      { name: 'y', parameters: {} },
    ]);
    const tensors = [
      { ...y, shape: [0], data: new Float32Array() },
      { ...s, shape: [0], data: [] },
    ];
    expect(selectOutputs(tensors, request.outputs).map(({ name }) => name)).toEqual(['s', 'y']);
  });

  it('keeps members that the protocol does not know out of the way', () => {
    expect(parseInferRequest({ inputs: [{ ...goodX, note: 1 }], more: true }, one).inputs).toHaveLength(1);
  });
});

describe('the values of each datatype', () => {
  it.each<[DatatypeName, unknown, unknown]>([
    ['BOOL', true, Uint8Array.of(1)],
    ['BOOL', false, Uint8Array.of(0)],
    ['UINT8', 255, Uint8Array.of(255)],
    ['UINT16', 65_535, Uint16Array.of(65_535)],
    ['UINT32', 4_294_967_295, Uint32Array.of(4_294_967_295)],
    ['UINT64', 9_007_199_254_740_991, BigUint64Array.of(9_007_199_254_740_991n)],
    ['INT8', -128, Int8Array.of(-128)],
    ['INT16', -32_768, Int16Array.of(-32_768)],
    ['INT32', -2_147_483_648, Int32Array.of(-2_147_483_648)],
    ['INT64', -9_007_199_254_740_991, BigInt64Array.of(-9_007_199_254_740_991n)],
    ['FP16', 1.5, Uint16Array.of(0x3e00)],
    ['BF16', -2, Uint16Array.of(0xc000)],
    ['FP32', 0.1, Float32Array.of(0.1)],
    ['FP64', 0.1, Float64Array.of(0.1)],
    ['BYTES', '👋', ['👋']],
  ])('%s takes %j', (datatype, value, data) => {
    expect(parseValue(datatype, value)).toEqual(data);
  });

  it.each<[DatatypeName, unknown, string]>([
    ['FP32', '1', 'must be a number for FP32, not a string'],
    ['FP32', null, 'not null'],
    ['FP32', [1], 'not an array'],
    ['FP32', Infinity, 'must be a finite number'],
    ['FP32', NaN, 'must be a finite number'],
    ['FP32', 1e39, 'is out of range for FP32'],
    ['FP64', Infinity, 'must be a finite number'],
    ['FP16', 65_520, 'is out of range for FP16'],
    ['BF16', 3.4e38 * 1.01, 'is out of range for BF16'],
    ['INT8', 128, 'is out of range for INT8 (-128 to 127)'],
    ['UINT8', -1, 'is out of range for UINT8 (0 to 255)'],
    ['INT32', 1.5, 'must be a whole number for INT32'],
    ['INT64', 1.5, 'must be a whole number for INT64'],
    ['INT64', 2 ** 53, 'send this tensor with the binary tensor data extension'],
    ['INT64', '1', 'must be a number for INT64'],
    ['UINT64', -1, 'must not be negative'],
    ['BOOL', 1, 'must be true or false, not a number'],
    ['BYTES', 1, 'must be a string, not a number'],
    ['BYTES', 'a\ud800', 'half of a surrogate pair'],
    ['BYTES', 'a\0b', 'NUL'],
  ])('%s refuses %j and names its place', (datatype, value, problem) => {
    expect(() => parseValue(datatype, value)).toThrow(problem);
    expect(() => parseValue(datatype, value)).toThrow('inputs[0].data');
  });
});

it('states its priority, and its timeout in microseconds; 0 of either is none, as are marks of no sequence', () => {
  const scheduled = (parameters: object) => parseInferRequest({ parameters, inputs: [goodX] }, one);
  expect(scheduled({ priority: 2, timeout: 1_500 })).toMatchObject({ priority: 2, timeoutMs: 1.5 });
  const none = scheduled({ priority: 0, timeout: 0, sequence_id: 0, sequence_start: false, sequence_end: false });
  expect([none.priority, none.timeoutMs]).toEqual([undefined, undefined]);
});

describe('a bad request is refused with its field', () => {
  const parse = (body: unknown) => () => parseInferRequest(body, two);
  const parseOne = (more: object) => () => parseX(more);
  it.each<[string, () => unknown, string]>([
    ['no object', parse([]), 'body: must be a JSON object'],
    ['no JSON', parse(undefined), 'body: must be a JSON object'],
    ['no inputs', parse({}), 'inputs: is missing: send an array with "x", "s"'],
    ['inputs that are no array', parse({ inputs: {} }), 'inputs: must be an array'],
    ['empty inputs', parse({ inputs: [] }), 'inputs: is empty: send "x", "s"'],
    ['an input that is no object', parse({ inputs: [1] }), 'inputs[0]: must be an object'],
    ['an input without a name', parse({ inputs: [{}] }), 'inputs[0].name: must be a string'],
    [
      'an unknown input',
      parse({ inputs: [goodX, { ...goodS, name: 'z' }] }),
      'inputs[1].name: the model has no input "z"; it has "x", "s"',
    ],
    ['a missing input', parse({ inputs: [goodX] }), 'inputs: input "s" is missing'],
    ['an input given twice', parse({ inputs: [goodX, goodX] }), 'inputs[1].name: input "x" is given twice'],
    ['another datatype', parseOne({ datatype: 'FP64' }), 'inputs[0].datatype: must be FP32, not "FP64"'],
    ['no datatype', parseOne({ datatype: undefined }), 'inputs[0].datatype: must be FP32'],
    ['no shape', parseOne({ shape: undefined }), 'inputs[0].shape: must be an array of sizes like [-1,2]'],
    ['another rank', parseOne({ shape: [2] }), 'inputs[0].shape: has 1 sizes, the model wants 2: [-1,2]'],
    ['a negative size', parseOne({ shape: [-1, 2] }), 'inputs[0].shape[0]: must be a whole number'],
    ['a fractional size', parseOne({ shape: [1, 1.5] }), 'inputs[0].shape[1]: must be a whole number'],
    ['another fixed size', parseOne({ shape: [1, 3] }), 'inputs[0].shape[1]: is 3, the model wants 2'],
    ['an empty batch', parseOne({ shape: [0, 2], data: [] }), 'inputs[0].shape[0]: the batch is empty'],
    ['too few values', parseOne({ data: [1] }), 'inputs[0].data: has 1 values, but shape [1,2] wants 2'],
    ['too many values', parseOne({ data: [1, 2, 3] }), 'inputs[0].data: has 3 values'],
    ['no data', parseOne({ data: undefined }), 'inputs[0].data: is missing'],
    ['data that are no array', parseOne({ data: 'AAAA' }), 'inputs[0].data: must be an array'],
    ['a wrong value', parseOne({ data: [1, 'a'] }), 'inputs[0].data[1]: must be a number'],
    [
      'a wrong nested value',
      parseOne({
        shape: [2, 2],
        data: [
          [1, 2],
          [3, 'a'],
        ],
      }),
      'inputs[0].data[1][1]: must be a number',
    ],
    [
      'ragged nesting',
      parseOne({ shape: [2, 2], data: [[1, 2, 3], [4]] }),
      'inputs[0].data[0]: has 3 elements, but shape [2,2] wants 2 here',
    ],
    ['half nesting', parseOne({ shape: [2, 2], data: [[1, 2], 3] }), 'inputs[0].data[1]: must be an array'],
    [
      'a binary size without binary data',
      parseOne({ data: undefined, parameters: { binary_data_size: 8 } }),
      'inputs[0].parameters.binary_data_size: needs the Inference-Header-Content-Length header',
    ],
    [
      'shared memory',
      parseOne({ parameters: { shared_memory_region: 'r' } }),
      'shared_memory_region: is not supported: the server reads no memory but its own',
    ],
    [
      'different numbers of rows',
      parse({ inputs: [goodX, { ...goodS, shape: [2], data: ['a', 'b'] }] }),
      'inputs: input "s" has 2 rows and input "x" has 1',
    ],
    [
      'an unknown output',
      parse({ inputs: [goodX, goodS], outputs: [{ name: 'z' }] }),
      'outputs[0].name: the model has no output "z"; it has "y", "s"',
    ],
    [
      'an output asked for twice',
      parse({ inputs: [goodX, goodS], outputs: [{ name: 'y' }, { name: 'y' }] }),
      'outputs[1].name: output "y" is asked for twice',
    ],
    ['outputs that are no array', parse({ inputs: [goodX, goodS], outputs: 'y' }), 'outputs: must be an array'],
    ...[0, -1, 1.5, '2', true, 2 ** 31].map((classification): [string, () => unknown, string] => [
      `${JSON.stringify(classification)} classes`,
      parse({ inputs: [goodX, goodS], outputs: [{ name: 'y', parameters: { classification } }] }),
      'outputs[0].parameters.classification: must be a whole number of classes, at least 1',
    ]),
    [
      'classes of texts',
      parse({ inputs: [goodX, goodS], outputs: [{ name: 's', parameters: { classification: 1 } }] }),
      'outputs[0].parameters.classification: needs an output of numbers, and this one is BYTES',
    ],
    [
      'an output in shared memory',
      parse({ inputs: [goodX, goodS], outputs: [{ name: 'y', parameters: { shared_memory_region: 'r' } }] }),
      'outputs[0].parameters.shared_memory_region: is not supported: the server writes to no memory but its own',
    ],
    ...[-1, 0.5, '1', true, NaN].flatMap((value): [string, () => unknown, string][] => [
      [
        `a priority of ${JSON.stringify(value)}`,
        parse({ parameters: { priority: value }, inputs: [goodX, goodS] }),
        'parameters.priority: must be a whole number, 1 for the most urgent',
      ],
      [
        `a timeout of ${JSON.stringify(value)}`,
        parse({ parameters: { timeout: value }, inputs: [goodX, goodS] }),
        'parameters.timeout: must be a whole number of microseconds',
      ],
    ]),
    ...[{ sequence_id: 7 }, { sequence_id: 'a' }, { sequence_start: true }, { sequence_end: true }].map(
      (parameters): [string, () => unknown, string] => [
        `a request of a sequence: ${JSON.stringify(parameters)}`,
        parse({ parameters, inputs: [goodX, goodS] }),
        `parameters.${Object.keys(parameters)[0]}: is not supported: every request stands alone`,
      ],
    ),
    [
      'a binary_data_output that is neither true nor false',
      parse({ parameters: { binary_data_output: 'yes' }, inputs: [goodX, goodS] }),
      'parameters.binary_data_output: must be true or false',
    ],
    [
      'a binary_data that is neither true nor false',
      parse({ inputs: [goodX, goodS], outputs: [{ name: 'y', parameters: { binary_data: 1 } }] }),
      'outputs[0].parameters.binary_data: must be true or false',
    ],
    ['an id that is no string', parse({ id: 7, inputs: [goodX, goodS] }), 'id: must be a string'],
    [
      'parameters that are no object',
      parse({ parameters: [], inputs: [goodX, goodS] }),
      'parameters: must be an object',
    ],
    [
      'a nested parameter',
      parse({ parameters: { a: {} }, inputs: [goodX, goodS] }),
      'parameters.a: must be a string, a number or a boolean',
    ],
  ])('%s', (_what, work, message) => {
    expect(work).toThrow(message);
    expect(work).toThrow(expect.objectContaining({ code: 'SLU_INFERENCE_INPUT' }));
  });

  it('refuses a product of sizes that cannot be counted, before anything is allocated for it', () => {
    const open = { inputs: [{ name: 'x', datatype: 'FP32' as const, shape: [-1, -1, -1] }], outputs: [] };
    const size = 2 ** 31 - 1;
    const parseShape = (shape: number[], data: unknown) => () =>
      parseInferRequest({ inputs: [{ name: 'x', datatype: 'FP32', shape, data }] }, open);
    expect(parseShape([size, size, size], [1])).toThrow('inputs[0].shape: is too large');
    expect(parseShape([1, 1, size], [[[1]]])).toThrow('inputs[0].data[0][0]: has 1 elements');
  });

  it('refuses more rows than allowed', () => {
    const rows = 8_193;
    const request = { inputs: [{ ...goodX, shape: [rows, 2], data: new Array(rows * 2).fill(0) }] };
    expect(() => parseInferRequest(request, one)).toThrow(
      `inputs: has ${rows} rows; one request may have at most 8192`,
    );
    expect(() =>
      parseInferRequest({ inputs: [{ ...goodX, shape: [2, 2], data: [1, 2, 3, 4] }] }, one, { maxRows: 1 }),
    ).toThrow('at most 1');
  });
});
