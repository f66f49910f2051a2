import { createRequire } from 'node:module';
import { createLogger } from '#libs/platform';
import {
  credentials,
  loadPackageDefinition,
  status,
  type ClientDuplexStream,
  type Metadata,
  type ServiceError,
} from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { limitedAdmissions } from '../../../test/support/open-admissions.js';
import { somePrincipal } from '../../../test/support/principal.js';
import type { Admissions } from '../http/admissions.js';
import { GrpcServer } from './grpc-server.js';

interface Answer {
  error_message: string;
}
interface Calls {
  ModelInfer(request: object, done: (failure: ServiceError | null, answer: Answer) => void): void;
  ModelStreamInfer(): ClientDuplexStream<object, Answer>;
  close(): void;
}

const infer = { model_name: 'plain' };
const payload = {
  model_name: 'plain',
  model_version: '1',
  id: '',
  parameters: {},
  outputs: [],
  raw_output_contents: [],
};
const caller = somePrincipal();
let server: GrpcServer;
let calls: Calls;
let admissions: Admissions;

// Whatever is asked is answered: what happens before that is what is looked at here.
const answering = { infer: async () => ({ payload, payloadBytes: 0, error: undefined, traceparent: '' }) } as never;

beforeEach(async () => {
  server = await GrpcServer.start(
    {
      inference: answering,
      state: { endpoint: () => undefined } as never,
      loading: {} as never,
      admissions: { enter: (...asked) => admissions.enter(...asked) },
      gatekeeper: { admit: () => caller },
      settings: { traceSampling: 0, isLevelEnabled: () => false },
      isReady: () => true,
      isDraining: () => false,
      log: createLogger({ service: 'test', level: 'silent' }),
      version: '0.0.0',
    },
    { host: '127.0.0.1', port: 0, messageLimitBytes: 1_000_000 },
  );
  const proto = createRequire(import.meta.url).resolve('#proto/open-inference');
  const found = loadPackageDefinition(loadSync(proto, { keepCase: true, defaults: true })) as never as {
    inference: { GRPCInferenceService: new (address: string, given: unknown) => Calls };
  };
  calls = new found.inference.GRPCInferenceService(`127.0.0.1:${server.port}`, credentials.createInsecure());
});
afterEach(async () => {
  calls.close();
  await server[Symbol.asyncDispose]();
});

const ask = (): Promise<Answer> =>
  new Promise((resolve, reject) =>
    calls.ModelInfer(infer, (failure, answer) => (failure === null ? resolve(answer) : reject(failure))),
  );
const refused = (asked: Promise<Answer>): Promise<ServiceError & { metadata: Metadata }> =>
  asked.then(
    () => Promise.reject(new Error('it was not refused')),
    (failure: ServiceError) => failure,
  );

describe('limits', () => {
  it('refuse a call by a status that says which limit it is and when it frees', async () => {
    admissions = limitedAdmissions({ requestsPerSecond: { perSecond: 0.1, burst: 1 } });
    await ask();
    const { code, details, metadata } = await refused(ask());
    expect(code).toBe(status.RESOURCE_EXHAUSTED);
    expect(details).toMatch(/requests-per-second of this key \(0.1, at once 1\) is used up; it frees in \d+ s$/);
    expect(metadata.get('sluice-limit')).toEqual(['requests-per-second']);
    expect(metadata.get('sluice-limit-scope')).toEqual(['key']);
    expect(Number(metadata.get('retry-after')[0])).toBeGreaterThan(0);
    expect(Number(metadata.get('grpc-retry-pushback-ms')[0])).toBeGreaterThan(0);
  });

  it('count each request of a stream, and answer the refused ones in it', async () => {
    admissions = limitedAdmissions({ requestsPerDay: 2, concurrentStreams: 1 });
    const stream = calls.ModelStreamInfer();
    const answers: Answer[] = [];
    stream.on('data', (answer: Answer) => answers.push(answer));
    for (let index = 0; index < 3; index += 1) stream.write(infer);
    await vi.waitFor(() => expect(answers).toHaveLength(3));
    expect(answers.map((answer) => answer.error_message)).toEqual([
      '',
      '',
      expect.stringContaining('requests-per-day'),
    ]);
    stream.end();
  });

  it('hold the place of a stream until its client has hung up', async () => {
    admissions = limitedAdmissions({ concurrentStreams: 1 });
    const open = () => calls.ModelStreamInfer();
    const ended = (stream: ClientDuplexStream<object, Answer>): Promise<number> =>
      new Promise((resolve) => {
        stream.once('error', (error: ServiceError) => resolve(error.code)).once('data', () => resolve(status.OK));
        stream.write(infer);
      });
    const first = open();
    expect(await ended(first)).toBe(status.OK);
    expect(await ended(open())).toBe(status.RESOURCE_EXHAUSTED);
    first.on('error', () => undefined);
    first.cancel();
    await vi.waitFor(async () => {
      const next = open();
      const code = await ended(next);
      next.on('error', () => undefined);
      next.cancel();
      expect(code).toBe(status.OK);
    });
  });
});
