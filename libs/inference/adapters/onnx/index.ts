// The model server's own door: it leaves out what the API needs besides (database, schema library, HTTP client), so that
// an idle model server stays small.
export { decodeInferRequest, encodeInferResponse, headerLengthField } from '../../oip/oip-binary.js';
export { type InferRequest, parseInferRequest } from '../../oip/oip-infer-request.js';
export { renderInferResponse } from '../../oip/oip-infer-response.js';
export { selectOutputs } from '../../oip/oip-requested-outputs.js';
export { rowCountOf } from '../../tensors/tensor.js';
export { drainServer, exitCodes, failProcess, onProcessEnd, tellParent } from '../../replicas/serving-process.js';
export { listenOnSocket } from '../../replicas/unix-socket.js';
export { ModelLoadFailure } from './model-folder.js';
export { OnnxModel, type OnnxModelSettings } from './onnx-model.js';
