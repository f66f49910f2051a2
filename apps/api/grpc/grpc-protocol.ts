import { sluiceError } from '#libs/kernel';
import {
  binaryValuesOf,
  parseInferRequest,
  selectOutputs,
  type AskedInference,
  type InferProtocol,
  type InferRequest,
  type ServedVersion,
  type Tensor,
} from '#libs/inference';
import { contentsOf, hasTypedForm, rawOfContents } from './grpc-contents.js';
import type { GrpcInferRequest, GrpcInferResponse, GrpcParameters, GrpcTensor } from './grpc-messages.js';

/** A request and when its caller stops waiting for it, if it said so. */
export interface GrpcAsk {
  readonly request: GrpcInferRequest;
  readonly timeoutMs: number | undefined;
}

interface GrpcAsked extends AskedInference {
  readonly inputs: readonly Tensor[];
  readonly request: InferRequest;
  readonly isRaw: boolean;
}

/**
 * The tensors of `ModelInfer`. An answer takes the form of its request, raw or typed; tensors without a typed form
 * (FP16, BF16) make the whole answer raw, since the protocol does not let the two be mixed.
 */
export const grpcProtocol: InferProtocol<GrpcInferResponse> = {
  stickyKeyOf(body) {
    const value = plainValueOf((body as GrpcAsk).request.parameters['sticky_key']);
    return typeof value === 'string' || typeof value === 'number' ? String(value) : undefined;
  },

  read(body, version): GrpcAsked {
    const { request, timeoutMs } = body as GrpcAsk;
    const { isRaw, inputs, binary } = tensorsOf(request);
    const asked = parseInferRequest(
      {
        ...(request.id === '' ? {} : { id: request.id }),
        parameters: plainParameters(request.parameters),
        inputs,
        outputs: request.outputs.map(({ name, parameters }) => ({ name, parameters: plainParameters(parameters) })),
      },
      version satisfies ServedVersion,
      { binary },
    );
    return {
      inputs: asked.inputs,
      priority: asked.priority,
      timeoutMs: asked.timeoutMs ?? timeoutMs,
      request: asked,
      isRaw,
    };
  },

  write({ endpoint, version, outputs }, asked) {
    const { request, isRaw } = asked as GrpcAsked;
    const selected = selectOutputs(outputs, request.outputs);
    const head = { model_name: endpoint, model_version: version, id: request.id };
    if (isRaw || !selected.every(hasTypedForm)) {
      return { ...head, outputs: selected.map(described), raw_output_contents: selected.map(binaryValuesOf) };
    }
    return { ...head, outputs: selected.map((tensor) => ({ ...described(tensor), contents: contentsOf(tensor) })) };
  },

  bytesOf: ({ raw_output_contents: raw, outputs }) =>
    raw === undefined
      ? outputs.reduce((sum, { shape }) => sum + 4 * shape.reduce<number>((a, b) => a * Number(b), 1), 0)
      : raw.reduce((sum, { length }) => sum + length, 0),
};

const described = ({ name, datatype, shape }: Tensor): GrpcTensor => ({ name, datatype, shape });

/** As the JSON form of the protocol has them, with all values in one binary tail. */
function tensorsOf({ inputs, raw_input_contents: raw }: GrpcInferRequest): {
  isRaw: boolean;
  inputs: unknown[];
  binary: Buffer;
} {
  const isRaw = raw.length > 0;
  if (isRaw && raw.length !== inputs.length) {
    const problem = `has ${raw.length} entries for ${inputs.length} inputs: send one for each`;
    throw sluiceError('SLU_INFERENCE_INPUT', { field: 'raw_input_contents', problem });
  }
  const values = inputs.map((input, index) => {
    const field = `inputs[${index}]`;
    const hasContents = input.contents !== null && input.contents !== undefined;
    if (isRaw && hasContents) {
      const problem = 'stands beside raw_input_contents: send one of the two';
      throw sluiceError('SLU_INFERENCE_INPUT', { field: `${field}.contents`, problem });
    }
    return isRaw ? raw[index]! : rawOfContents(input.datatype, input.contents ?? {}, field);
  });
  return {
    isRaw,
    inputs: inputs.map(({ name, datatype, shape, parameters }, index) => ({
      name,
      datatype,
      shape: shape.map(Number),
      parameters: { ...plainParameters(parameters ?? {}), binary_data_size: values[index]!.length },
    })),
    binary: values.length === 1 ? values[0]! : Buffer.concat(values),
  };
}

function plainParameters(parameters: GrpcParameters): Record<string, string | number | boolean> {
  return Object.fromEntries(
    Object.entries(parameters).flatMap(([name, parameter]) => {
      const value = plainValueOf(parameter);
      return value === undefined ? [] : [[name, value]];
    }),
  );
}

function plainValueOf(parameter: GrpcParameters[string] | undefined): string | number | boolean | undefined {
  const choice = parameter?.parameter_choice;
  const value = choice === undefined ? undefined : parameter?.[choice];
  return choice === 'int64_param' || choice === 'uint64_param' ? Number(value) : value;
}
