import {
  parseInferRequest,
  renderInferResponse,
  selectOutputs,
  type InferProtocol,
  type InferRequest,
} from '#libs/inference';

/** The JSON bodies of the Open Inference Protocol v2. `model_name` is the endpoint, which is what the caller knows. */
export const oipProtocol: InferProtocol = {
  stickyKeyOf(body) {
    const parameters = (body as { parameters?: { sticky_key?: unknown } | null } | null)?.parameters;
    const key = parameters?.sticky_key;
    // Anything else is refused when the parameters are read.
    return typeof key === 'string' || typeof key === 'number' ? String(key) : undefined;
  },

  read: (body, version) => parseInferRequest(body, version),

  write({ endpoint, version, outputs }, asked) {
    const { id, outputs: requested } = asked as InferRequest;
    return renderInferResponse({
      modelName: endpoint,
      modelVersion: version,
      id,
      outputs: selectOutputs(outputs, requested),
    });
  },
  bytesOf: (payload) => Buffer.byteLength(payload),
};
