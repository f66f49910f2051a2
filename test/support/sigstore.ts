import { createHash, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { bundleToJSON } from '@sigstore/bundle';
import { fulcioHandler, initializeCA, initializeCTLog, initializeTLog, rekorHandler } from '@sigstore/mock';
import { HashAlgorithm, PublicKeyDetails, TrustedRoot } from '@sigstore/protobuf-specs';
import { FulcioSigner, MessageSignatureBundleBuilder, RekorWitness } from '@sigstore/sign';

export interface Sigstore extends AsyncDisposable {
  /** As an operator supplies it. */
  trustedRoot: unknown;
  /** What `cosign sign-blob --bundle` leaves, signed by Sigstore's own client against its own fakes. */
  sign(content: Buffer, subject?: string): Promise<unknown>;
}

/** A certificate authority and a transparency log of this test alone, over HTTP on loopback. */
export async function startSigstore(): Promise<Sigstore> {
  const pair = (): { publicKey: KeyObject; privateKey: KeyObject } =>
    generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
  const ctLog = await initializeCTLog(pair());
  const ca = await initializeCA(pair(), ctLog);
  const tLog = await initializeTLog('http://127.0.0.1', pair());
  const server = await serve([fulcioHandler(ca, { strict: true }), rekorHandler(tLog, { strict: true })]);
  const baseURL = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const log = (publicKey: Buffer, keyId: Buffer, baseUrl: string): object => ({
    baseUrl,
    hashAlgorithm: HashAlgorithm.SHA2_256,
    publicKey: {
      rawBytes: publicKey,
      keyDetails: PublicKeyDetails.PKIX_ECDSA_P256_SHA_256,
      validFor: { start: new Date(0) },
    },
    logId: { keyId },
  });
  const root = {
    mediaType: 'application/vnd.dev.sigstore.trustedroot+json;version=0.1',
    tlogs: [log(tLog.publicKey, createHash('sha256').update(tLog.publicKey).digest(), baseURL)],
    ctlogs: [log(ctLog.publicKey, bytesOf(ctLog.logID), 'http://127.0.0.1')],
    certificateAuthorities: [
      {
        subject: { organization: 'test', commonName: 'test' },
        uri: baseURL,
        certChain: { certificates: [{ rawBytes: bytesOf(ca.rootCertificate) }] },
        validFor: { start: new Date(0) },
      },
    ],
    timestampAuthorities: [],
  };
  return {
    trustedRoot: TrustedRoot.toJSON(root as never),
    sign: async (content, subject = 'https://ci.example/build.yml@main') => {
      const signer = new FulcioSigner({
        fulcioBaseURL: baseURL,
        identityProvider: { getToken: async () => token({ sub: subject, iss: 'https://token.example' }) },
      });
      const witnesses = [new RekorWitness({ rekorBaseURL: baseURL })];
      const bundle = await new MessageSignatureBundleBuilder({ signer, witnesses }).create({ data: content });
      return bundleToJSON(bundle);
    },
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((done) => server.close(done));
    },
  };
}

type Handler = ReturnType<typeof fulcioHandler>;

async function serve(handlers: readonly Handler[]): Promise<Server> {
  const server = createServer((req, res) => {
    void (async () => {
      const handler = handlers.find(({ path }) => path === req.url);
      if (handler === undefined) return res.writeHead(404).end();
      const { statusCode, response, contentType = 'text/plain' } = await handler.fn(await text(req));
      return res.writeHead(statusCode, { 'content-type': contentType }).end(response);
    })();
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  return server;
}

/** Fulcio's fake reads the claims and checks no signature. */
function token(claims: Record<string, unknown>): string {
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  return `${part({ alg: 'none' })}.${part(claims)}.x`;
}

const bytesOf = (view: ArrayBufferView): Buffer => Buffer.from(view.buffer, view.byteOffset, view.byteLength);
