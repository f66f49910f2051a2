import { isSluiceError } from '#libs/kernel';
import ort from 'onnxruntime-node';
import type { Manifest } from '../../manifest.js';
import { readJsonValues } from '../../oip-json-values.js';
import { type Tensor, type TensorSpec, blankData, valueCount } from '../../tensor.js';
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
    private readonly session: ort.InferenceSession,
  ) {}

  /** Verifies the files, loads the graph, holds it against the manifest, and runs the warm-up. @throws ModelLoadFailure */
  static async load({ folder, threads }: OnnxModelSettings): Promise<OnnxModel> {
    const { manifest, graphPath } = await openModelFolder(folder);
    const session = await openSession(graphPath, threads);
    checkTensors('input', manifest.inputs, session.inputMetadata);
    checkTensors('output', manifest.outputs, session.outputMetadata);
    const model = new OnnxModel(manifest, session);
    await model.warmUp();
    return model;
  }

  /** @param outputNames which outputs to compute; undefined computes all */
  async run(inputs: readonly Tensor[], outputNames?: readonly string[]): Promise<Tensor[]> {
    const feeds: Record<string, ort.Tensor> = {};
    for (const input of inputs) feeds[input.name] = toOnnxTensor(input);
    const wanted = outputNames ?? this.manifest.outputs.map(({ name }) => name);
    const results = await this.session.run(feeds, wanted);
    return wanted.map((name) => {
      const spec = this.manifest.outputs.find((output) => output.name === name);
      const result = results[name];
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

async function openSession(graphPath: string, threads: number): Promise<ort.InferenceSession> {
  try {
    return await ort.InferenceSession.create(graphPath, {
      intraOpNumThreads: threads,
      interOpNumThreads: 1,
      executionMode: 'sequential',
      graphOptimizationLevel: 'all',
      // A failed run throws, and its caller decides what becomes of that; the runtime need not log it as well.
      logSeverityLevel: 4,
    });
  } catch (cause) {
    throw new ModelLoadFailure(`the runtime cannot load the model: ${messageOf(cause)}`, { cause });
  }
}

function checkTensors(
  kind: 'input' | 'output',
  specs: readonly TensorSpec[],
  actual: readonly ort.InferenceSession.ValueMetadata[],
): void {
  for (const { name, datatype, shape } of specs) {
    const found = actual.find((tensor) => tensor.name === name);
    if (found === undefined) {
      const names = actual.map((tensor) => tensor.name).join(', ');
      throw new ModelLoadFailure(`sluice.json declares ${kind} ${name}, but the model has ${names}`);
    }
    const type = onnxTypeOf(datatype);
    if (type === undefined)
      throw new ModelLoadFailure(`${kind} ${name} is ${datatype}, which the runtime does not support`);
    if (!found.isTensor || found.type !== type) {
      throw new ModelLoadFailure(
        `${kind} ${name} is ${datatype} in sluice.json, but ${found.isTensor ? found.type : 'no tensor'} in the model`,
      );
    }
    // A model without a stated shape says rank 0 or nothing, and is then taken at the manifest's word.
    if (found.shape.length > 0 && found.shape.length !== shape.length) {
      throw new ModelLoadFailure(
        `${kind} ${name} has ${shape.length} sizes in sluice.json, but ${found.shape.length} in the model`,
      );
    }
  }
  // An output may stay undeclared, an input may not: the run would lack it.
  const undeclared =
    kind === 'input' ? actual.find((tensor) => !specs.some(({ name }) => name === tensor.name)) : undefined;
  if (undeclared !== undefined)
    throw new ModelLoadFailure(`the model has input ${undeclared.name}, which sluice.json does not declare`);
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

const messageOf = (failure: unknown): string => (failure instanceof Error ? failure.message : String(failure));
