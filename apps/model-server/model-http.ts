import { type IncomingMessage, type Server, type ServerResponse, createServer } from 'node:http';
import {
  type InferRequest,
  type OnnxModel,
  decodeInferRequest,
  drainServer,
  encodeInferResponse,
  headerLengthField,
  parseInferRequest,
  renderInferResponse,
  rowCountOf,
  selectOutputs,
} from '#libs/inference/adapters/onnx';
import { isSluiceError, mebibytes, messageOf } from '#libs/kernel';
import type { ProgressMark } from './progress-mark.js';
import type { RunTrace } from './run-trace.js';

const bodyLimitBytes = mebibytes(256);
/** The batch was bounded where it was made; here the size of the body is the bound. */
const maxRows = 2 ** 31 - 1;

export interface ModelHttpSettings {
  version: string;
  trace: RunTrace;
  mark: ProgressMark;
}

/** The Open Inference Protocol v2 for one model, in JSON and with binary tensors. */
export class ModelHttp {
  readonly server: Server;
  private model: OnnxModel | undefined;
  private isDraining = false;

  constructor(private readonly settings: ModelHttpSettings) {
    this.server = createServer((req, res) => void this.answer(req, res));
    // The API keeps its connections for as long as it likes; closing one under a request would look like a crash.
    this.server.keepAliveTimeout = 0;
  }

  serve(model: OnnxModel): void {
    this.model = model;
  }

  /** Takes no new connections, and resolves when each request that was begun has its answer. */
  async drain(): Promise<void> {
    this.isDraining = true;
    await drainServer(this.server);
  }

  private async answer(req: IncomingMessage, res: ServerResponse): Promise<void> {
    try {
      await this.route(req, res);
    } catch (error) {
      if (isSluiceError(error)) return this.refuse(res, error.status, error.message);
      this.refuse(res, 500, 'the model server failed');
      process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`);
    }
  }

  private async route(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const path = (req.url ?? '/').split('?', 1)[0]!;
    if (path.endsWith('/infer')) return this.infer(path, req, res);
    req.resume();
    if (req.method !== 'GET') return this.refuse(res, 405, `${path} does not answer ${req.method}`);
    switch (path) {
      case '/v2':
        return this.send(res, 200, {
          name: 'sluice-model-server',
          version: this.settings.version,
          extensions: ['binary_tensor_data'],
        });
      case '/v2/health/live':
        return this.send(res, 200, { live: true });
      case '/v2/health/ready':
        return this.send(res, this.isReady ? 200 : 503, { ready: this.isReady });
      default:
        return this.describe(path, res);
    }
  }

  private get isReady(): boolean {
    return this.model !== undefined && !this.isDraining;
  }

  private describe(path: string, res: ServerResponse): void {
    const { model } = this;
    const isReadiness = path.endsWith('/ready');
    const name = isReadiness ? path.slice(0, -'/ready'.length) : path;
    // Before the model is loaded its name is not known either.
    if (model === undefined) return this.refuse(res, 503, 'the model is loading');
    if (!isPathOf(model, name)) return this.refuse(res, 404, `there is nothing at ${path}`);
    const { manifest } = model;
    if (isReadiness) return this.send(res, this.isReady ? 200 : 503, { name: manifest.name, ready: this.isReady });
    const described = (specs: typeof manifest.inputs) =>
      specs.map(({ name, datatype, shape }) => ({ name, datatype, shape }));
    this.send(res, 200, {
      name: manifest.name,
      versions: [manifest.version],
      platform: 'onnxruntime_onnx',
      inputs: described(manifest.inputs),
      outputs: described(manifest.outputs),
      runtime: model.runtime,
    });
  }

  private async infer(path: string, req: IncomingMessage, res: ServerResponse): Promise<void> {
    const { model } = this;
    const body = await readBody(req);
    if (body === 'gone') return;
    if (body === 'too large') {
      res.setHeader('connection', 'close');
      return this.refuse(res, 413, `the body is larger than the limit of ${bodyLimitBytes} bytes`);
    }
    if (model === undefined) return this.refuse(res, 503, 'the model is loading');
    if (!isPathOf(model, path.slice(0, -'/infer'.length))) return this.refuse(res, 404, `there is nothing at ${path}`);
    if (req.method !== 'POST') return this.refuse(res, 405, `${path} does not answer ${req.method}`);
    const request = readRequest(model, req, body);
    const outputs = await this.run(model, request, req, res);
    if (outputs === undefined) return;
    const { name: modelName, version: modelVersion } = model.manifest;
    const response = { modelName, modelVersion, id: request.id, outputs };
    if (!wantsBinary(request, req)) return this.sendBytes(res, 200, Buffer.from(renderInferResponse(response)), json);
    const { headerLength, chunks } = encodeInferResponse(response);
    this.sendBytes(res, 200, Buffer.concat(chunks), { ...binary, [headerLengthField]: headerLength });
  }

  /** @returns undefined when the answer is already given or nobody waits for it */
  private async run(model: OnnxModel, request: InferRequest, req: IncomingMessage, res: ServerResponse) {
    // Gone while it waited behind another run: computing it would only delay the next.
    if (res.destroyed) return undefined;
    const { trace, mark } = this.settings;
    const traceparent = headerOf(req, 'traceparent');
    const startedAt = trace.isWanted(traceparent) ? new Date() : undefined;
    let hasFailed = false;
    mark.runBegins();
    try {
      const outputs = await model.run(
        request.inputs,
        request.outputs?.map(({ name }) => name),
      );
      return selectOutputs(outputs, request.outputs);
    } catch (error) {
      hasFailed = true;
      res.setHeader('sluice-fault', 'model');
      this.refuse(res, 500, messageOf(error));
      return undefined;
    } finally {
      mark.runEnds();
      if (startedAt !== undefined) {
        const { name, version } = model.manifest;
        const attributes = {
          'sluice.model': name,
          'sluice.version': version,
          'sluice.rows': rowCountOf(request.inputs),
        };
        trace.finished({ traceparent, startedAt, endedAt: new Date(), attributes, hasFailed });
      }
    }
  }

  private refuse(res: ServerResponse, status: number, error: string): void {
    this.send(res, status, { error });
  }

  private send(res: ServerResponse, status: number, content: object): void {
    this.sendBytes(res, status, Buffer.from(JSON.stringify(content)), json);
  }

  private sendBytes(res: ServerResponse, status: number, body: Buffer, headers: Record<string, string | number>): void {
    if (res.destroyed || res.headersSent) return;
    res.sendDate = false;
    // A connection that stays open would hold up the drain.
    if (this.isDraining) res.setHeader('connection', 'close');
    res.writeHead(status, { ...headers, 'content-length': body.length });
    res.end(body);
  }
}

const json = { 'content-type': 'application/json' };
const binary = { 'content-type': 'application/octet-stream' };

function isPathOf({ manifest }: OnnxModel, path: string): boolean {
  const base = `/v2/models/${encodeURIComponent(manifest.name)}`;
  return path === base || path === `${base}/versions/${encodeURIComponent(manifest.version)}`;
}

function headerOf(req: IncomingMessage, name: string): string | undefined {
  const value = req.headers[name];
  return Array.isArray(value) ? value[0] : value;
}

function readRequest({ manifest }: OnnxModel, req: IncomingMessage, body: Buffer): InferRequest {
  const headerLength = headerOf(req, headerLengthField);
  if (headerLength !== undefined) return decodeInferRequest(Number(headerLength), body, manifest, { maxRows });
  return parseInferRequest(parseJson(body), manifest, { maxRows });
}

function parseJson(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString()) as unknown;
  } catch {
    // Not an object, and so refused with the field's name.
    return undefined;
  }
}

/** Who sends binary and asks for binary outputs gets all of them in binary. */
function wantsBinary({ parameters, outputs }: InferRequest, req: IncomingMessage): boolean {
  if (req.headers[headerLengthField] === undefined) return false;
  if (parameters['binary_data_output'] === true) return true;
  return outputs?.some((output) => output.parameters?.['binary_data'] === true) ?? false;
}

function readBody(req: IncomingMessage): Promise<Buffer | 'too large' | 'gone'> {
  return new Promise((resolve) => {
    if (Number(req.headers['content-length'] ?? 0) > bodyLimitBytes) return resolve('too large');
    const chunks: Buffer[] = [];
    let size = 0;
    req.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size <= bodyLimitBytes) {
        chunks.push(chunk);
        return;
      }
      req.removeAllListeners('data');
      resolve('too large');
    });
    req.on('end', () => resolve(chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks)));
    req.on('close', () => resolve('gone'));
  });
}
