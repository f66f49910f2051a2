import { isSluiceError, mebibytes } from '#libs/kernel';
import { Pool } from 'undici';
import { parseWideJson, type WideJson } from '../../oip/oip-wide-json.js';
import { type Replica, type ReplicaCall, ReplicaFailure, type ReplicaMetadata } from '../../ports/replica.js';
import type { Tensor, TensorSpec } from '../../tensors/tensor.js';
import { failureOf } from '../oip/answer-failure.js';
import { type HttpAnswer, type HttpQuestion, askOverHttp } from '../oip/http-call.js';
import type { ForeignServer } from '../oip/oip-replica.js';
import { metadataOf } from './tf-serving-metadata.js';
import { isCarried, nestedJson, rowsJson, tensorOfNested, unreadable } from './tf-serving-values.js';

export interface TfServingReplicaSettings {
  id: string;
  /** `http(s)://host:port` with a path in front where the server has one. A last `/v1` is the protocol's own. */
  address: string;
  /** The model's name at the server. */
  model: string;
  /** Its version there; left out, the server takes its latest. */
  version?: string | undefined;
  /** What the model version declares: JSON names no datatypes, and a single tensor may go without its name. */
  inputs: readonly TensorSpec[];
  outputs: readonly TensorSpec[];
  /** `columns` sends each input whole (`inputs`), `rows` each row with all of its inputs (`instances`). */
  form?: 'columns' | 'rows' | undefined;
  /** `signature_name`; left out, the server takes `serving_default`. */
  signature?: string | undefined;
  connections?: number | undefined;
  foreign: ForeignServer;
}

const defaultConnections = 8;
const healthTimeoutMs = 2_000;
const metadataTimeoutMs = 5_000;
const idleConnectionMs = 60_000;
const mostAnswerBytes = mebibytes(256);

/**
 * A replica behind TensorFlow Serving's REST API, and whatever else speaks it (KServe's V1 protocol, with rows).
 * Protocol: https://www.tensorflow.org/tfx/serving/api_rest
 */
export class TfServingReplica implements Replica {
  readonly id: string;
  private readonly pool: Pool;
  private readonly path: string;

  constructor(private readonly settings: TfServingReplicaSettings) {
    const { id, address, model, version, foreign } = settings;
    this.id = id;
    const url = new URL(address);
    const base = url.pathname.replace(/\/+$/, '').replace(/\/v1$/, '');
    this.path = `${base}/v1/models/${encodeURIComponent(model)}`;
    if (version !== undefined) this.path += `/versions/${encodeURIComponent(version)}`;
    this.pool = new Pool(url.origin, {
      connections: settings.connections ?? defaultConnections,
      pipelining: 1,
      connect: { timeout: foreign.connectTimeoutMs, lookup: foreign.lookup },
      keepAliveTimeout: idleConnectionMs,
      // Each call has its own timer, which counts the wait for a connection as well.
      headersTimeout: 0,
      bodyTimeout: 0,
    });
  }

  async infer(inputs: readonly Tensor[], call: ReplicaCall): Promise<Tensor[]> {
    const body = Buffer.from(this.requestOf(inputs));
    const headers: Record<string, string> = { 'content-type': 'application/json' };
    if (call.traceparent !== undefined) headers['traceparent'] = call.traceparent;
    const answer = await this.ask({ method: 'POST', path: `${this.path}:predict`, headers, body }, call);
    if (answer.status !== 200) throw failureOf(answer);
    return this.read(() => this.outputsOf(answer));
  }

  async metadata(): Promise<ReplicaMetadata> {
    const question: HttpQuestion = { method: 'GET', path: `${this.path}/metadata` };
    const answer = await this.ask(question, { timeoutMs: metadataTimeoutMs });
    if (answer.status !== 200) throw failureOf(answer);
    return this.read(() => metadataOf(answer.body, this.settings.signature));
  }

  async isReady(): Promise<boolean> {
    try {
      const answer = await this.ask({ method: 'GET', path: this.path }, { timeoutMs: healthTimeoutMs });
      return answer.status === 200 && isAvailable(answer.body);
    } catch {
      return false;
    }
  }

  /** Calls in flight end as lost. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.pool.destroy();
  }

  private ask(question: HttpQuestion, call: ReplicaCall): Promise<HttpAnswer> {
    const headers = { ...question.headers, ...this.settings.foreign.headers() };
    return askOverHttp(this.pool, { ...question, headers, mostAnswerBytes }, call);
  }

  private requestOf(inputs: readonly Tensor[]): string {
    const refused = inputs.find(({ datatype }) => !isCarried(datatype));
    if (refused !== undefined) {
      const problem = `input ${refused.name} is ${refused.datatype}, which TensorFlow Serving takes over gRPC alone`;
      throw new ReplicaFailure('model', problem);
    }
    const { signature, form, inputs: specs } = this.settings;
    // The server would take a single one by its place, whatever its name is.
    const unknown = inputs.find(({ name }) => !specs.some((spec) => spec.name === name));
    if (unknown !== undefined) throw new ReplicaFailure('model', `the model has no input ${unknown.name}`);
    const head = signature === undefined ? '' : `"signature_name":${JSON.stringify(signature)},`;
    return `{${head}${form === 'rows' ? instancesOf(inputs) : columnsOf(inputs)}}`;
  }

  private outputsOf({ body }: HttpAnswer): Tensor[] {
    const { value, hasNaN } = readJson(body);
    const { outputs: specs, form } = this.settings;
    const member = form === 'rows' ? 'predictions' : 'outputs';
    const given = (value as Record<string, unknown> | null)?.[member];
    if (given === undefined) throw new SyntaxError(`the answer has no ${member}`);
    return specs.map((spec) => tensorOfNested(spec, valueOf(given, spec.name, specs.length), hasNaN));
  }

  // What nobody can read is the server's fault: the input has been taken.
  private read<T>(work: () => T): T {
    try {
      return work();
    } catch (cause) {
      if (!isSluiceError(cause) && !(cause instanceof SyntaxError)) throw cause;
      throw new ReplicaFailure('model', `the answer cannot be read: ${cause.message}`, {
        cause,
        blame: 'replica',
      });
    }
  }
}

const columnsOf = (inputs: readonly Tensor[]): string =>
  `"inputs":{${inputs.map((input) => `${JSON.stringify(input.name)}:${nestedJson(input)}`).join(',')}}`;

function instancesOf(inputs: readonly Tensor[]): string {
  const rows = inputs[0]?.shape[0] ?? 0;
  if (inputs.some(({ shape }) => shape[0] !== rows)) {
    const problem = 'the inputs have different numbers of rows, which the form of rows cannot say';
    throw new ReplicaFailure('model', problem);
  }
  const columns = inputs.map((input) => ({ name: JSON.stringify(input.name), rows: rowsJson(input) }));
  const [only] = columns;
  if (columns.length === 1) return `"instances":[${only!.rows.join(',')}]`;
  const instances = Array.from(
    { length: rows },
    (_value, row) => `{${columns.map((column) => `${column.name}:${column.rows[row]!}`).join(',')}}`,
  );
  return `"instances":[${instances.join(',')}]`;
}

// V8 quotes the text around the fault, which is the answer of whoever shared the batch.
function readJson(body: Buffer): WideJson {
  try {
    return parseWideJson(body.toString());
  } catch {
    throw new SyntaxError('it is not valid JSON');
  }
}

/** The value of one output: by name in an object, by name in each row, or all of it when it is the only one. */
function valueOf(given: unknown, name: string, outputCount: number): unknown {
  const isOfRows = Array.isArray(given) && isNamed(given[0]);
  if (isOfRows) return given.map((row: unknown) => member(row, name));
  if (isNamed(given)) return member(given, name);
  if (outputCount > 1) throw unreadable(name, 'stands without its name, among several');
  return given;
}

// A text in base64 is an object as well, and no row.
const isNamed = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value) && !('b64' in value);

function member(row: unknown, name: string): unknown {
  if (!isNamed(row) || !Object.hasOwn(row, name)) throw unreadable(name, 'is missing');
  return row[name];
}

/** TensorFlow Serving tells the state of each version; KServe's V1 protocol says whether the model is ready. */
export function isAvailable(body: Buffer): boolean {
  try {
    const status = JSON.parse(body.toString()) as Record<string, unknown> | null;
    const versions = status?.['model_version_status'];
    if (!Array.isArray(versions)) return /^true$/i.test(String(status?.['ready']));
    return versions.some((version: { state?: unknown } | null) => version?.state === 'AVAILABLE');
  } catch {
    return false;
  }
}
