import { createRequire } from 'node:module';
import { createLogger, TlsCertificate } from '#libs/platform';
import { credentials, loadPackageDefinition, status, type ChannelCredentials, type ServiceError } from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { makeOwnCertificate } from '../../../libs/platform/tls/own-certificate.js';
import { openAdmissions } from '../../../test/support/open-admissions.js';
import { somePrincipal } from '../../../test/support/principal.js';
import { GrpcServer } from './grpc-server.js';

type Call = (request: object, options: { deadline: number }, done: (error: ServiceError | null) => void) => void;

const names = ['localhost', '127.0.0.1'];
let pair = { certificate: '', privateKey: '' };
let tls: TlsCertificate;
let server: GrpcServer;

beforeAll(async () => {
  pair = await makeOwnCertificate(names, new Date());
  tls = await TlsCertificate.open({ load: async () => pair, onProblem: () => undefined });
  server = await GrpcServer.start(
    {
      inference: {} as never,
      state: {} as never,
      loading: {} as never,
      admissions: openAdmissions,
      gatekeeper: { admit: () => somePrincipal() },
      settings: { traceSampling: 0, isLevelEnabled: () => false },
      isReady: () => true,
      isDraining: () => false,
      log: createLogger({ service: 'test', level: 'silent' }),
      version: '0.0.0',
    },
    { host: '127.0.0.1', port: 0, messageLimitBytes: 1_000, tls },
  );
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
  tls[Symbol.dispose]();
});

const trusting = (certificate: string): ChannelCredentials => credentials.createSsl(Buffer.from(certificate));

/** What a client of its own connection gets: the status, long before its deadline, and why. */
async function live(creds: ChannelCredentials): Promise<[code: status, details: string]> {
  const proto = createRequire(import.meta.url).resolve('#proto/open-inference');
  const found = loadPackageDefinition(loadSync(proto)) as never as {
    inference: { GRPCInferenceService: new (...given: unknown[]) => { ServerLive: Call; close(): void } };
  };
  const client = new found.inference.GRPCInferenceService(`localhost:${server.port}`, creds, {
    'grpc.use_local_subchannel_pool': 1,
  });
  try {
    return await new Promise((resolve) =>
      client.ServerLive({}, { deadline: Date.now() + 20_000 }, (error) =>
        resolve(error === null ? [status.OK, ''] : [error.code, error.details]),
      ),
    );
  } finally {
    client.close();
  }
}

it('answers a client that has verified the certificate, and no client that cannot', async () => {
  expect(await live(trusting(pair.certificate))).toEqual([status.OK, '']);
  const stranger = await makeOwnCertificate(names, new Date());
  expect(await live(trusting(stranger.certificate))).toEqual([
    status.UNAVAILABLE,
    expect.stringMatching(/self-signed|certificate/),
  ]);
});

it('ends a call without TLS as unavailable, long before its deadline, and serves on', async () => {
  const [code] = await live(credentials.createInsecure());
  expect(code).toBe(status.UNAVAILABLE);
  expect(await live(trusting(pair.certificate))).toEqual([status.OK, '']);
});

it('serves with the renewed certificate from the next connection on', async () => {
  const before = pair.certificate;
  pair = await makeOwnCertificate(names, new Date());
  await tls.refresh();
  expect(await live(trusting(pair.certificate))).toEqual([status.OK, '']);
  expect((await live(trusting(before)))[0]).toBe(status.UNAVAILABLE);
});
