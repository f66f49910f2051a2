import { isSluiceError, messageOf } from '#libs/kernel';
import type { ReplicaRuntime } from '#libs/store';
import ort from 'onnxruntime-node';
import type { Manifest } from '../../models/manifest.js';
import { readJsonValues } from '../../oip/oip-json-values.js';
import { type Tensor, type TensorSpec, blankData, valueCount } from '../../tensors/tensor.js';
import { type BridgedGraph, bridgeGraph } from './bridged-graph.js';
import { openSession } from './execution-providers.js';
import { ModelLoadFailure, openModelFolder } from './model-folder.js';
import { fromOnnxTensor, onnxTypeOf, toOnnxTensor } from './onnx-tensor.js';

export interface OnnxModelSettings {
  /** Holds `sluice.json` and the files that it names. */
  folder: string;
  /** Threads that one run may use. */
  threads: number;
}

/** One loaded and warmed ONNX model. A run blocks the thread that it is called on. */
export class OnnxModel {
  private constructor(
    readonly manifest: Manifest,
    readonly runtime: ReplicaRuntime,
    private readonly session: ort.InferenceSession,
    private readonly graph: BridgedGraph,
  ) {}

  /** Verifies the files, loads the graph, holds it against the manifest, and runs the warm-up. @throws ModelLoadFailure */
  static async load({ folder, threads }: OnnxModelSettings): Promise<OnnxModel> {
    const { manifest, graphPath } = await openModelFolder(folder);
    const declared = new Set(manifest.outputs.map(({ name }) => name));
    // The session has read the copy, if one was made, when it is open.
    await using graph = await bridgeGraph(graphPath, declared);
    const { path: bridgedPath, weightsFolder } = graph;
    const wish = { graphPath: bridgedPath, weightsFolder, threads, settings: manifest.onnx ?? {} };
    const { session, runtime } = await openSession(wish);
    checkTensors('input', manifest.inputs, session.inputMetadata, graph);
    checkTensors('output', manifest.outputs, session.outputMetadata, graph);
    const model = new OnnxModel(manifest, runtime, session, graph);
    await model.warmUp();
    return model;
  }

  /** @param outputNames which outputs to compute; undefined computes all that the manifest states */
  async run(inputs: readonly Tensor[], outputNames?: readonly string[]): Promise<Tensor[]> {
    const { graph, manifest, session } = this;
    const feeds: Record<string, ort.Tensor> = {};
    for (const input of inputs) feeds[graph.bridgedName('input', input.name) ?? input.name] = toOnnxTensor(input);
    const wanted = outputNames ?? manifest.outputs.map(({ name }) => name);
    const insideNames = wanted.map((name) => graph.bridgedName('output', name) ?? name);
    const results = await session.run(feeds, insideNames);
    return wanted.map((name, index) => {
      const spec = manifest.outputs.find((output) => output.name === name);
      const result = results[insideNames[index]!];
      if (spec === undefined || result === undefined) throw new Error(`the model gave no output ${name}`);
      return fromOnnxTensor(name, spec.datatype, result);
    });
  }

  private async warmUp(): Promise<void> {
    const { warmup, inputs } = this.manifest;
    const samples =
      warmup === undefined || warmup.length === 0
        ? [inputs.map(blankTensor)]
        : warmup.map((rows, at) => readSample(rows, inputs, at));
    for (const sample of samples) {
      try {
        await this.run(sample);
      } catch (cause) {
        throw new ModelLoadFailure(`the warm-up failed: ${messageOf(cause)}`, { cause });
      }
    }
  }
}

function checkTensors(
  kind: 'input' | 'output',
  specs: readonly TensorSpec[],
  metadata: readonly ort.InferenceSession.ValueMetadata[],
  graph: BridgedGraph,
): void {
  const names = metadata.map(({ name }) => graph.ownName(name));
  for (const { name, datatype, shape } of specs) {
    const insideName = graph.bridgedName(kind, name) ?? name;
    const found = metadata.find((tensor) => tensor.name === insideName);
    if (found === undefined)
      throw new ModelLoadFailure(`sluice.json declares ${kind} ${name}, but the model has ${names.join(', ')}`);
    const type = !found.isTensor ? 'no tensor' : insideName === name ? found.type : 'bfloat16';
    if (!found.isTensor || type !== (datatype === 'BF16' ? 'bfloat16' : onnxTypeOf(datatype)))
      throw new ModelLoadFailure(`${kind} ${name} is ${datatype} in sluice.json, but ${type} in the model`);
    // A model without a stated shape says rank 0 or nothing, and is then taken at the manifest's word.
    if (found.shape.length > 0 && found.shape.length !== shape.length) {
      throw new ModelLoadFailure(
        `${kind} ${name} has ${shape.length} sizes in sluice.json, but ${found.shape.length} in the model`,
      );
    }
  }
  // An output may stay undeclared, an input may not: the run would lack it.
  const undeclared = kind === 'input' ? names.find((name) => !specs.some((spec) => spec.name === name)) : undefined;
  if (undeclared !== undefined)
    throw new ModelLoadFailure(`the model has input ${undeclared}, which sluice.json does not declare`);
}

function blankTensor({ name, datatype, shape }: TensorSpec): Tensor {
  const sizes = shape.map((size) => (size === -1 ? 1 : size));
  return { name, datatype, shape: sizes, data: blankData(datatype, valueCount(sizes) ?? 0) };
}

function readSample(
  rows: Readonly<Record<string, readonly unknown[]>>,
  specs: readonly TensorSpec[],
  at: number,
): Tensor[] {
  return specs.map(({ name, datatype, shape }) => {
    const field = `warmup[${at}].${name}`;
    const values = rows[name];
    if (values === undefined) throw new ModelLoadFailure(`${field} is missing`);
    const sizes = nestingOf(values, shape.length);
    const count = valueCount(sizes) ?? Infinity;
    try {
      return { name, datatype, shape: sizes, data: readJsonValues(datatype, values, sizes, count, field) };
    } catch (cause) {
      throw isSluiceError(cause) ? new ModelLoadFailure(cause.message, { cause }) : cause;
    }
  });
}

function nestingOf(values: readonly unknown[], rank: number): number[] {
  const sizes: number[] = [];
  let level: unknown = values;
  while (sizes.length < rank && Array.isArray(level)) {
    sizes.push(level.length);
    level = level[0];
  }
  return sizes;
}
