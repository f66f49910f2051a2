import { closeSync, openSync, readSync, writeSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { mebibytes } from '#libs/kernel';
import { type GraphPort, type GraphPorts, onnxElements, onnxFields, readGraphPorts } from './graph-ports.js';
import { type ByteRange, encodeBytes, encodeHead, encodeNumber } from './protobuf-wire.js';

/** What the runtime's JavaScript door has names for, by `TensorProto.DataType`; 16 is bridged. */
const namedElements: ReadonlySet<number> = new Set([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13]);

/** A graph that the runtime's JavaScript door can serve. */
export interface BridgedGraph extends AsyncDisposable {
  readonly path: string;
  /** Where external weights lie, when that is not the folder of `path`. */
  readonly weightsFolder: string | undefined;
  /** The runtime's name of a BF16 tensor, which it sees as FP32; undefined for all others. */
  bridgedName(side: GraphPort['side'], name: string): string | undefined;
  /** The model's own name for what the runtime calls so. */
  ownName(runtimeName: string): string;
}

/**
 * The JavaScript door of ONNX Runtime has no BF16 tensors and refuses any graph that shows one. So a copy of the graph is
 * made whose BF16 inputs and outputs are FP32 outside, with a Cast behind each. BF16 is the upper half of FP32, so no value
 * changes on the way. Outputs of types that have no name there at all are left out, unless they are declared: nobody could
 * ask for them. Weights are copied through a small buffer, and external ones stay where they are.
 *
 * @param declared names of the tensors that the manifest states
 */
export async function bridgeGraph(graphPath: string, declared: ReadonlySet<string>): Promise<BridgedGraph> {
  const read = readGraphPorts(graphPath);
  const bridged = read?.ports.filter(({ element }) => element === onnxElements.bfloat16) ?? [];
  const hidden = read?.ports.filter((port) => isHidden(port, declared)) ?? [];
  if (read === undefined || bridged.length + hidden.length === 0)
    return {
      path: graphPath,
      weightsFolder: undefined,
      bridgedName: none,
      ownName: same,
      [Symbol.asyncDispose]: nothing,
    };
  const folder = await mkdtemp(path.join(tmpdir(), 'sluice-graph-'));
  const copy = path.join(folder, 'model.onnx');
  const remove = (): Promise<void> => rm(folder, { recursive: true, force: true });
  try {
    writeCopy(graphPath, copy, read, bridged, hidden);
  } catch (error) {
    await remove();
    throw error;
  }
  return {
    path: copy,
    weightsFolder: path.dirname(path.resolve(graphPath)),
    bridgedName: (side, name) =>
      bridged.some((port) => port.side === side && port.name === name) ? outsideName(name, side) : undefined,
    ownName: (runtimeName) =>
      bridged.find(({ name, side }) => outsideName(name, side) === runtimeName)?.name ?? runtimeName,
    [Symbol.asyncDispose]: remove,
  };
}

const nothing = async (): Promise<void> => undefined;
const none = (): undefined => undefined;
const same = (name: string): string => name;

const isHidden = ({ side, name, element }: GraphPort, declared: ReadonlySet<string>): boolean =>
  side === 'output' &&
  !declared.has(name) &&
  element !== undefined &&
  element !== onnxElements.bfloat16 &&
  !namedElements.has(element);

/** No graph has such names by accident; one that has them on purpose does not load. */
const outsideName = (name: string, side: GraphPort['side']): string => `sluice:fp32:${side}:${name}`;

function writeCopy(
  from: string,
  to: string,
  { graph, fileBytes, ports }: GraphPorts,
  bridged: readonly GraphPort[],
  hidden: readonly GraphPort[],
): void {
  const removed = ports.filter((port) => bridged.includes(port) || hidden.includes(port)).map(({ whole }) => whole);
  const kept = without(graph.content, removed);
  const inputs = bridged.filter(({ side }) => side === 'input');
  const outputs = bridged.filter(({ side }) => side === 'output');
  // Casts of inputs come first and those of outputs last, since a graph lists its nodes in the order of their running.
  const head = Buffer.concat(inputs.map(castOf));
  const tail = Buffer.concat([...outputs.map(castOf), ...bridged.map(portOf)]);
  const length = head.length + tail.length + kept.reduce((sum, { start, end }) => sum + end - start, 0);
  const [source, target] = [openSync(from, 'r'), openSync(to, 'wx', 0o600)];
  try {
    copyRange(source, target, { start: 0, end: graph.whole.start });
    writeAll(target, Buffer.concat([encodeHead(onnxFields.model.graph, length), head]));
    for (const range of kept) copyRange(source, target, range);
    writeAll(target, tail);
    copyRange(source, target, { start: graph.whole.end, end: fileBytes });
  } finally {
    closeSync(source);
    closeSync(target);
  }
}

/** What is left of a range; the removed ones lie in it, in order. */
function without({ start, end }: ByteRange, removed: readonly ByteRange[]): ByteRange[] {
  const kept: ByteRange[] = [];
  let at = start;
  for (const range of removed) {
    kept.push({ start: at, end: range.start });
    at = range.end;
  }
  return [...kept, { start: at, end }];
}

function castOf({ name, side }: GraphPort): Buffer {
  const { node, attribute } = onnxFields;
  const outside = outsideName(name, side);
  const [from, to, element] =
    side === 'input' ? [outside, name, onnxElements.bfloat16] : [name, outside, onnxElements.float];
  const target = Buffer.concat([
    encodeBytes(attribute.name, 'to'),
    encodeNumber(attribute.integer, element),
    encodeNumber(attribute.type, integerAttribute),
  ]);
  const content = Buffer.concat([
    encodeBytes(node.input, from),
    encodeBytes(node.output, to),
    encodeBytes(node.name, `${outside}:cast`),
    encodeBytes(node.operator, 'Cast'),
    encodeBytes(node.attribute, target),
  ]);
  return encodeBytes(onnxFields.graph.node, content);
}

/** `AttributeProto.AttributeType.INT`. */
const integerAttribute = 2;

function portOf({ name, side, shape }: GraphPort): Buffer {
  const { tensorType, type, valueInfo, graph } = onnxFields;
  const tensor = Buffer.concat([
    encodeNumber(tensorType.element, onnxElements.float),
    ...(shape === undefined ? [] : [encodeBytes(tensorType.shape, shape)]),
  ]);
  const content = Buffer.concat([
    encodeBytes(valueInfo.name, outsideName(name, side)),
    encodeBytes(valueInfo.type, encodeBytes(type.tensor, tensor)),
  ]);
  return encodeBytes(graph[side], content);
}

const copyBufferBytes = mebibytes(1);

function copyRange(source: number, target: number, { start, end }: ByteRange): void {
  const buffer = Buffer.allocUnsafe(Math.min(copyBufferBytes, Math.max(end - start, 1)));
  for (let at = start; at < end;) {
    const count = readSync(source, buffer, 0, Math.min(buffer.length, end - at), at);
    if (count === 0) throw new Error('the graph became shorter while it was read');
    writeAll(target, buffer.subarray(0, count));
    at += count;
  }
}

function writeAll(target: number, bytes: Uint8Array): void {
  for (let done = 0; done < bytes.length;) done += writeSync(target, bytes, done);
}
