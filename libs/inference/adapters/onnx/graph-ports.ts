import { closeSync, fstatSync, openSync } from 'node:fs';
import { type ByteRange, type WireField, WireFile, wireTypes } from './protobuf-wire.js';

/** Field numbers of onnx.proto (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto), those that are used here. */
export const onnxFields = {
  model: { graph: 7 },
  graph: { node: 1, initializer: 5, input: 11, output: 12, sparseInitializer: 15 },
  node: { input: 1, output: 2, name: 3, operator: 4, attribute: 5 },
  attribute: { name: 1, integer: 3, type: 20 },
  valueInfo: { name: 1, type: 2 },
  type: { tensor: 1 },
  tensorType: { element: 1, shape: 2 },
  tensor: { name: 8 },
  sparseTensor: { values: 1 },
} as const;

/** `TensorProto.DataType`. */
export const onnxElements = { float: 1, bfloat16: 16 } as const;

/** One input or output as the graph declares it. */
export interface GraphPort {
  readonly side: 'input' | 'output';
  readonly name: string;
  /** `TensorProto.DataType`, or undefined for what is no tensor. */
  readonly element: number | undefined;
  /** The `TensorShapeProto` as it lies there; undefined when none is stated. */
  readonly shape: Buffer | undefined;
  readonly whole: ByteRange;
}

export interface GraphPorts {
  /** The graph's field in the file, and its content. */
  readonly graph: WireField;
  readonly fileBytes: number;
  /** Without inputs that have a value of their own in the file: nobody can feed those. */
  readonly ports: readonly GraphPort[];
}

/** @returns undefined when the file is no ONNX model that can be read here; the runtime will then say what it thinks of it */
export function readGraphPorts(graphPath: string): GraphPorts | undefined {
  const file = openSync(graphPath, 'r');
  try {
    return portsOf(new WireFile(file), fstatSync(file).size);
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  } finally {
    closeSync(file);
  }
}

function portsOf(wire: WireFile, fileBytes: number): GraphPorts | undefined {
  const graphs = [...wire.fields({ start: 0, end: fileBytes })].filter(
    ({ number, type }) => number === onnxFields.model.graph && type === wireTypes.bytes,
  );
  const [graph] = graphs;
  if (graph === undefined || graphs.length > 1) return undefined;
  const ports: GraphPort[] = [];
  const defaults = new Set<string>();
  for (const field of wire.fields(graph.content)) {
    const { number, content } = field;
    if (number === onnxFields.graph.input) ports.push(portOf(wire, 'input', field));
    else if (number === onnxFields.graph.output) ports.push(portOf(wire, 'output', field));
    else if (number === onnxFields.graph.initializer) defaults.add(textOf(wire, content, onnxFields.tensor.name));
    else if (number === onnxFields.graph.sparseInitializer) {
      const values = fieldOf(wire, content, onnxFields.sparseTensor.values);
      if (values !== undefined) defaults.add(textOf(wire, values.content, onnxFields.tensor.name));
    }
  }
  return { graph, fileBytes, ports: ports.filter(({ side, name }) => side === 'output' || !defaults.has(name)) };
}

function portOf(wire: WireFile, side: GraphPort['side'], { whole, content }: WireField): GraphPort {
  const name = textOf(wire, content, onnxFields.valueInfo.name);
  const type = fieldOf(wire, content, onnxFields.valueInfo.type);
  const tensor = type === undefined ? undefined : fieldOf(wire, type.content, onnxFields.type.tensor);
  if (tensor === undefined) return { side, name, element: undefined, shape: undefined, whole };
  const element = fieldOf(wire, tensor.content, onnxFields.tensorType.element);
  const shape = fieldOf(wire, tensor.content, onnxFields.tensorType.shape);
  return {
    side,
    name,
    whole,
    element: element === undefined ? undefined : wire.number(element),
    shape: shape === undefined ? undefined : wire.bytes(shape.content),
  };
}

function fieldOf(wire: WireFile, message: ByteRange, number: number): WireField | undefined {
  for (const field of wire.fields(message)) if (field.number === number) return field;
  return undefined;
}

function textOf(wire: WireFile, message: ByteRange, number: number): string {
  const field = fieldOf(wire, message, number);
  return field === undefined ? '' : wire.bytes(field.content).toString();
}
