import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface RegistryRequest {
  url: string;
  authorization: string | undefined;
}

/** A registry whose every answer a test decides: a well-behaved one cannot be made to lie. */
export interface ScriptedRegistry extends AsyncDisposable {
  /** `host:port` */
  host: string;
  requests: RegistryRequest[];
  /** Path to answer; what is not there is 404. */
  answers: Map<string, (req: IncomingMessage, res: ServerResponse) => void>;
  /** Puts an artifact of single files there. @returns its manifest, to be changed and put again */
  push(repository: string, tag: string, files: Record<string, string | Buffer>): OciManifest;
  put(repository: string, tag: string, manifest: OciManifest | string): void;
}

export interface OciManifest {
  schemaVersion: number;
  mediaType: string;
  config: object;
  layers: { mediaType: string; digest: string; size: number; annotations?: Record<string, string> }[];
}

export const digestOf = (content: string | Buffer): string =>
  `sha256:${createHash('sha256').update(content).digest('hex')}`;

export async function scriptedRegistry(): Promise<ScriptedRegistry> {
  const answers: ScriptedRegistry['answers'] = new Map();
  const requests: RegistryRequest[] = [];
  const server = createServer((req, res) => {
    requests.push({ url: req.url ?? '', authorization: req.headers.authorization });
    const answer = answers.get((req.url ?? '').split('?', 1)[0] ?? '');
    if (answer === undefined) res.writeHead(404).end();
    else answer(req, res);
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const put = (repository: string, tag: string, manifest: OciManifest | string): void => {
    const content = typeof manifest === 'string' ? manifest : JSON.stringify(manifest);
    const type = 'application/vnd.oci.image.manifest.v1+json';
    answers.set(`/v2/${repository}/manifests/${tag}`, (_req, res) =>
      res.writeHead(200, { 'content-type': type }).end(content),
    );
  };
  return {
    host: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    answers,
    put,
    push(repository, tag, files) {
      const layers = Object.entries(files).map(([title, content]) => {
        const digest = digestOf(content);
        answers.set(`/v2/${repository}/blobs/${digest}`, (_req, res) => res.end(content));
        return {
          mediaType: 'application/octet-stream',
          digest,
          size: Buffer.byteLength(content),
          annotations: { 'org.opencontainers.image.title': title },
        };
      });
      const manifest = {
        schemaVersion: 2,
        mediaType: 'application/vnd.oci.image.manifest.v1+json',
        config: {},
        layers,
      };
      put(repository, tag, manifest);
      return manifest;
    },
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((done) => server.close(done));
    },
  };
}
