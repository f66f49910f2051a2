import { open } from 'node:fs/promises';
import type { DatatypeName } from '../tensors/datatype.js';
import { ProtobufFile, type ProtoField } from './artifact-protobuf.js';
import { refused, shownName } from './artifact-refusal.js';
import type { TensorSpec } from '../tensors/tensor.js';

export interface OnnxPorts {
  inputs: TensorSpec[];
  outputs: TensorSpec[];
}

type BytesField = Extract<ProtoField, { wire: 'bytes' }>;

const longestNameBytes = 512;
const mostPorts = 256;
const mostDimensions = 8;

/** Field numbers of onnx.proto3, https://github.com/onnx/onnx/blob/main/onnx/onnx.proto3. */
const modelGraph = 7;
const graph = { initializer: 5, input: 11, output: 12 };
const initializerName = 8;
const port = { name: 1, type: 2 };
const tensorType = 1;
const tensor = { elementType: 1, shape: 2 };
const shapeDimension = 1;
const dimensionValue = 1;

/** `TensorProto.DataType`, those that the Open Inference Protocol knows. */
const elementTypes: Readonly<Record<number, DatatypeName>> = {
  1: 'FP32',
  2: 'UINT8',
  3: 'INT8',
  4: 'UINT16',
  5: 'INT16',
  6: 'INT32',
  7: 'INT64',
  8: 'BYTES',
  9: 'BOOL',
  10: 'FP16',
  11: 'FP64',
  12: 'UINT32',
  13: 'UINT64',
  16: 'BF16',
};

/**
 * Reads from an ONNX file what its graph takes and gives, stepping over its nodes and weights. Sizes that the graph
 * leaves open are -1.
 * @throws SLU_ARTIFACT_REFUSED when it is no ONNX model, or has ports that no tensor of the protocol can carry
 */
export async function readOnnxPorts(path: string, shownAs: string): Promise<OnnxPorts> {
  const handle = await open(path, 'r');
  try {
    const { size } = await handle.stat();
    const file = new ProtobufFile(handle, size, shownName(shownAs));
    return await new GraphReader(file, shownName(shownAs)).read();
  } finally {
    await handle.close();
  }
}

class GraphReader {
  constructor(
    private readonly file: ProtobufFile,
    private readonly name: string,
  ) {}

  async read(): Promise<OnnxPorts> {
    const graphs = await this.children(0, this.file.bytes, modelGraph, 2);
    const [only] = graphs;
    if (only === undefined || graphs.length > 1)
      throw refused(`${this.name} is no ONNX model: it has no graph, or two`);
    const inputs = await this.ports(only, graph.input);
    const outputs = await this.ports(only, graph.output);
    // Before IR version 4 weights stood among the inputs as well. Nobody sends those.
    await this.removeWeights(only, inputs);
    if (inputs.size === 0 || outputs.size === 0) throw refused(`${this.name} has no inputs, or no outputs`);
    return { inputs: await this.specs(inputs), outputs: await this.specs(outputs) };
  }

  private async children(start: number, end: number, field: number, most: number): Promise<BytesField[]> {
    const found: BytesField[] = [];
    for await (const each of this.file.fields(start, end)) {
      if (each.field !== field || each.wire !== 'bytes') continue;
      found.push(each);
      if (found.length > most) throw refused(`${this.name} has more than ${most} parts where few are allowed`);
    }
    return found;
  }

  private async ports(within: BytesField, field: number): Promise<Map<string, BytesField | undefined>> {
    const ports = new Map<string, BytesField | undefined>();
    for await (const each of this.file.fields(within.start, within.end)) {
      if (each.field !== field || each.wire !== 'bytes') continue;
      const { name, type } = await this.nameAndType(each);
      if (ports.has(name)) throw refused(`${this.name} names ${shownName(name)} twice`);
      ports.set(name, type);
      // An old export may list each of its weights here, so the bound is wide; what is left is counted later.
      if (ports.size > 100_000) throw refused(`${this.name} has too many inputs or outputs`);
    }
    return ports;
  }

  private async nameAndType(valueInfo: BytesField): Promise<{ name: string; type: BytesField | undefined }> {
    let name = '';
    let type: BytesField | undefined;
    for await (const each of this.file.fields(valueInfo.start, valueInfo.end)) {
      if (each.wire !== 'bytes') continue;
      if (each.field === port.name) name = await this.file.text(each, longestNameBytes);
      if (each.field === port.type) type = each;
    }
    if (name === '') throw refused(`${this.name} has an input or output without a name`);
    return { name, type };
  }

  private async removeWeights(within: BytesField, inputs: Map<string, unknown>): Promise<void> {
    for await (const each of this.file.fields(within.start, within.end)) {
      if (each.field !== graph.initializer || each.wire !== 'bytes') continue;
      for await (const part of this.file.fields(each.start, each.end))
        if (part.field === initializerName && part.wire === 'bytes' && part.end - part.start <= longestNameBytes)
          inputs.delete(await this.file.text(part, longestNameBytes));
    }
  }

  private async specs(ports: ReadonlyMap<string, BytesField | undefined>): Promise<TensorSpec[]> {
    if (ports.size > mostPorts) throw refused(`${this.name} has more than ${mostPorts} inputs or outputs`);
    const specs: TensorSpec[] = [];
    for (const [name, type] of ports) specs.push(await this.spec(name, type));
    return specs;
  }

  private async spec(name: string, type: BytesField | undefined): Promise<TensorSpec> {
    const tensors = type === undefined ? [] : await this.children(type.start, type.end, tensorType, 1);
    const [only] = tensors;
    if (only === undefined)
      throw refused(`${this.name}: ${shownName(name)} is no tensor (a sequence or a map, perhaps)`);
    let elementType = 0;
    let shape: BytesField | undefined;
    for await (const each of this.file.fields(only.start, only.end)) {
      if (each.field === tensor.elementType && each.wire === 'varint') elementType = Number(each.value);
      if (each.field === tensor.shape && each.wire === 'bytes') shape = each;
    }
    const datatype = elementTypes[elementType];
    if (datatype === undefined)
      throw refused(`${this.name}: ${shownName(name)} has the element type ${elementType}, which no request can carry`);
    if (shape === undefined)
      throw refused(`${this.name}: ${shownName(name)} has no shape; state inputs and outputs in "manifest"`);
    return { name, datatype, shape: await this.sizes(name, shape) };
  }

  private async sizes(name: string, shape: BytesField): Promise<number[]> {
    const sizes: number[] = [];
    for (const dimension of await this.children(shape.start, shape.end, shapeDimension, mostDimensions)) {
      let size = -1;
      for await (const each of this.file.fields(dimension.start, dimension.end))
        if (each.field === dimensionValue && each.wire === 'varint') size = Number(BigInt.asIntN(64, each.value));
      sizes.push(size < 0 ? -1 : size);
    }
    if (sizes.length === 0)
      throw refused(`${this.name}: ${shownName(name)} has no dimensions; the first one must be the batch`);
    return sizes;
  }
}
