// The language server's own door: it leaves out what the API needs besides (database, schema library, HTTP client), and
// nothing else loads llama.cpp.
export type { ChatMessage, ToolCall } from './chat-prompt.js';
export type { AnswerEnd, AnswerEvent, TokenReport, ToolUse } from './answer.js';
export type { Generation } from './generation.js';
export { LanguageLoadFailure } from './gguf-folder.js';
export { anyObjectGrammar, JsonGrammar, type JsonSchema, SchemaRefusal } from './json-grammar.js';
export { type AnswerRequest, LanguageModel } from './language-model.js';
export { type Sampling, seedOf } from './sampling.js';
export { toolGrammar } from './tool-grammar.js';
export type { CallableTool } from './tool-syntax.js';
export { decodeInferRequest, encodeInferResponse, headerLengthField } from '../../oip/oip-binary.js';
export { type InferRequest, parseInferRequest } from '../../oip/oip-infer-request.js';
export { selectOutputs } from '../../oip/oip-requested-outputs.js';
export { renderInferResponse } from '../../oip/oip-infer-response.js';
export type { Tensor } from '../../tensors/tensor.js';
export { drainServer, exitCodes, failProcess, onProcessEnd, tellParent } from '../../replicas/serving-process.js';
export { listenOnSocket } from '../../replicas/unix-socket.js';
