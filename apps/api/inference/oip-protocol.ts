import {
  encodeInferResponse,
  parseInferRequest,
  parseRawRequest,
  renderInferResponse,
  selectOutputs,
  type InferProtocol,
  type InferRequest,
} from '#libs/inference';
import { BinaryBody, RawBody } from './oip-body.js';

/** What is sent back: JSON text, or a JSON header of `headerLength` bytes with the bytes of the tensors behind it. */
export interface OipPayload {
  readonly body: string | Buffer;
  readonly headerLength: number | undefined;
}

/** The bodies of the Open Inference Protocol v2. `model_name` is the endpoint, which is what the caller knows. */
export const oipProtocol: InferProtocol<OipPayload> = {
  stickyKeyOf(body) {
    const json = body instanceof BinaryBody ? body.header : body;
    const parameters = (json as { parameters?: { sticky_key?: unknown } | null } | null)?.parameters;
    const key = parameters?.sticky_key;
    // Anything else is refused when the parameters are read.
    return typeof key === 'string' || typeof key === 'number' ? String(key) : undefined;
  },

  read(body, version) {
    if (body instanceof BinaryBody) return parseInferRequest(body.header, version, { binary: body.binary });
    return body instanceof RawBody ? parseRawRequest(body.binary, version) : parseInferRequest(body, version);
  },

  write({ endpoint, version, outputs }, asked) {
    const request = asked as InferRequest;
    const response = {
      modelName: endpoint,
      modelVersion: version,
      id: request.id,
      outputs: selectOutputs(outputs, request.outputs),
    };
    const isBinary = binaryChoice(request);
    if (isBinary === undefined) return { body: renderInferResponse(response), headerLength: undefined };
    const { headerLength, chunks } = encodeInferResponse(response, isBinary);
    return { body: Buffer.concat(chunks), headerLength };
  },

  bytesOf: ({ body }) => Buffer.byteLength(body),
};

/** Which outputs go in binary: what is said of one counts more than what is said of all. Undefined when none do. */
function binaryChoice({ outputs, parameters }: InferRequest): ((index: number) => boolean) | undefined {
  const isDefault = parameters['binary_data_output'] === true;
  if (outputs === undefined) return isDefault ? () => true : undefined;
  const choices = outputs.map((output) => (output.parameters?.['binary_data'] ?? isDefault) === true);
  return choices.includes(true) ? (index) => choices[index] === true : undefined;
}
