import type { ReplicaRuntime } from '#libs/store';
import ort from 'onnxruntime-node';
import { messageOf } from '#libs/kernel';
import type { Manifest } from '../../models/manifest.js';
import { ModelLoadFailure } from './model-folder.js';

type OnnxSettings = NonNullable<Manifest['onnx']>;
export type ExecutionProvider = NonNullable<OnnxSettings['executionProviders']>[number];

export interface SessionWish {
  graphPath: string;
  /** Where external weights lie, when that is not the folder of the graph. */
  weightsFolder: string | undefined;
  threads: number;
  settings: OnnxSettings;
}

export interface OpenedSession {
  session: ort.InferenceSession;
  runtime: ReplicaRuntime;
}

// What the native library prints is told in our own words, with its reason.
ort.env.logLevel = 'fatal';

/**
 * Opens a session on the first of the wished providers that this machine has; those behind it take the nodes that it cannot
 * run. CPU is always the last. A provider that is not there, or that cannot take this model, is left out and named in
 * `runtime.fallbacks`, never passed over in silence. @throws ModelLoadFailure when not even the CPU can load the model
 */
export async function openSession(wish: SessionWish): Promise<OpenedSession> {
  const { usable, fallbacks } = await usableProviders(wish.settings.executionProviders ?? []);
  for (;;) {
    const providers = [...usable, 'cpu'];
    try {
      const session = await ort.InferenceSession.create(wish.graphPath, sessionOptions(wish, providers));
      return { session, runtime: { providers, threads: wish.threads, fallbacks } };
    } catch (cause) {
      const [refusing] = usable.splice(0, 1);
      if (refusing === undefined)
        throw new ModelLoadFailure(`the runtime cannot load the model: ${messageOf(cause)}`, { cause });
      fallbacks.push(`${refusing} cannot load this model: ${messageOf(cause)}`);
    }
  }
}

/** Each is asked with a graph of one node, which costs nothing, before the model itself is loaded. */
async function usableProviders(
  wished: readonly ExecutionProvider[],
): Promise<{ usable: ExecutionProvider[]; fallbacks: string[] }> {
  const usable: ExecutionProvider[] = [];
  const fallbacks: string[] = [];
  for (const provider of new Set(wished)) {
    // What stands behind CPU would never get a node.
    if (provider === 'cpu') break;
    try {
      const session = await ort.InferenceSession.create(identityGraph, { executionProviders: [provider] });
      await session.release();
      usable.push(provider);
    } catch (error) {
      fallbacks.push(`${provider} is not available: ${messageOf(error)}`);
    }
  }
  return { usable, fallbacks };
}

function sessionOptions(wish: SessionWish, executionProviders: string[]): ort.InferenceSession.SessionOptions {
  const { threads, settings, weightsFolder } = wish;
  const { interOpThreads = 1, graphOptimization = 'all' } = settings;
  return {
    executionProviders,
    intraOpNumThreads: threads,
    interOpNumThreads: interOpThreads,
    // Threads between operators are used in parallel mode alone.
    executionMode: interOpThreads > 1 ? 'parallel' : 'sequential',
    graphOptimizationLevel: graphOptimization,
    // A failed run throws, and its caller decides what becomes of that; the runtime need not log it as well.
    logSeverityLevel: 4,
    ...(weightsFolder !== undefined && {
      extra: { session: { model_external_initializers_file_folder_path: weightsFolder } },
    }),
  };
}

/** `y = Identity(x)`, FP32 `[1]`, opset 13, as a serialized ONNX model. */
const identityGraph = Buffer.from(
  'CAc6NwoQCgF4EgF5IghJZGVudGl0eRIBaVoPCgF4EgoKCAgBEgQKAggBYg8KAXkSCgoICAESBAoCCAFCBAoAEA0=',
  'base64',
);
