import { createRequire } from 'node:module';
import { secondsToMs } from '#libs/kernel';
import type { KeyPair, TlsCertificate } from '#libs/platform';
import {
  experimental,
  loadPackageDefinition,
  Server,
  ServerCredentials,
  type ServiceClientConstructor,
} from '@grpc/grpc-js';
import { loadSync, type Options } from '@grpc/proto-loader';
import { GrpcService, type GrpcServiceParts } from './grpc-service.js';

export interface GrpcServerSettings {
  host: string;
  /** 0 takes any free one. */
  port: number;
  /** Most bytes of one message, either way. */
  messageLimitBytes: number;
  /** Left out: plain HTTP/2. */
  tls?: TlsCertificate | undefined;
}

const drainDeadlineMs = secondsToMs(30);
const keepAlive = {
  'grpc.keepalive_time_ms': secondsToMs(60),
  'grpc.keepalive_timeout_ms': secondsToMs(20),
  // Clients of load balancers ping often; cutting them off for it ends their streams.
  'grpc.http2.min_ping_interval_without_data_ms': secondsToMs(5),
};

const parsing: Options = { keepCase: true, longs: String, enums: String, defaults: true, arrays: true, oneofs: true };
// Found as a package import, so that sources and build read the same file.
const protoFile = (name: string): string => createRequire(import.meta.url).resolve(`#proto/${name}`);

/** The gRPC side of the Open Inference Protocol v2, on a port of its own. */
export class GrpcServer implements AsyncDisposable {
  private constructor(
    private readonly server: Server,
    readonly port: number,
  ) {}

  /** @throws Error when the port is taken */
  static async start(parts: GrpcServiceParts, settings: GrpcServerSettings): Promise<GrpcServer> {
    const { host, port, messageLimitBytes, tls } = settings;
    const server = new Server({
      ...keepAlive,
      'grpc.max_receive_message_length': messageLimitBytes,
      'grpc.max_send_message_length': -1,
    });
    const service = new GrpcService(parts);
    server.addService(serviceOf('open-inference', 'inference.GRPCInferenceService'), service.handlers);
    server.addService(serviceOf('health', 'grpc.health.v1.Health'), service.health);
    const address = `${host.includes(':') ? `[${host}]` : host}:${port}`;
    const bound = await new Promise<number>((resolve, reject) => {
      server.bindAsync(address, credentialsOf(tls), (problem, taken) =>
        problem === null ? resolve(taken) : reject(problem),
      );
    });
    return new GrpcServer(server, bound);
  }

  /** New calls are refused; resolves when those in flight have ended, or have been cut off at the deadline. */
  async [Symbol.asyncDispose](): Promise<void> {
    const timer = setTimeout(() => this.server.forceShutdown(), drainDeadlineMs);
    await new Promise<void>((resolve) => this.server.tryShutdown(() => resolve()));
    clearTimeout(timer);
  }
}

/** What is renewed is served with from the next connection on. */
function credentialsOf(tls: TlsCertificate | undefined): ServerCredentials {
  if (tls === undefined) return ServerCredentials.createInsecure();
  const updateOf = ({ certificate, privateKey }: KeyPair): experimental.IdentityCertificateUpdate => ({
    certificate: Buffer.from(certificate),
    privateKey: Buffer.from(privateKey),
  });
  const provider: experimental.CertificateProvider = {
    addIdentityCertificateListener: (listener) => {
      process.nextTick(() => listener(updateOf(tls.current)));
      tls.onRenewed((pair) => listener(updateOf(pair)));
    },
    // The server and its certificate end together.
    removeIdentityCertificateListener: () => undefined,
    addCaCertificateListener: () => undefined,
    removeCaCertificateListener: () => undefined,
  };
  return experimental.createCertificateProviderServerCredentials(provider, null, false);
}

function serviceOf(file: string, name: string): ServiceClientConstructor['service'] {
  let found: unknown = loadPackageDefinition(loadSync(protoFile(file), parsing));
  for (const part of name.split('.')) found = (found as Record<string, unknown>)[part];
  return (found as ServiceClientConstructor).service;
}
