import type { OutboundGuard } from '#libs/platform';
import { createHash } from 'node:crypto';
import { mebibytes } from '#libs/kernel';
import { release, stageFile, stageTar, type Download } from '../../artifacts/artifact-download.js';
import { refused, shownName, tooLarge, unreadable } from '../../artifacts/artifact-refusal.js';
import { sourceFailed, type ArtifactFetcher } from '../../artifacts/artifact-sources.js';
import type { ArtifactStaging } from '../../artifacts/artifact-staging.js';
import { parseOciCredentials, type OciCredentials } from './oci-credentials.js';
import { discard, OciHttp, type OciAnswer } from './oci-http.js';
import { layersOf, manifestTypes, type OciLayer } from './oci-manifest.js';
import { parseOciReference, type OciReference } from './oci-reference.js';
import { authorizationFor } from './oci-token.js';

export interface OciFetcherSettings {
  /** In the form of Docker's `config.json`. */
  auth?: string | undefined;
  /** Registries (`host:port`) that may be spoken to without TLS, besides loopback. */
  plainHttp?: readonly string[] | undefined;
  /** Judges registries and the stores that they redirect to; left out: anywhere. */
  guard?: OutboundGuard | undefined;
}

const manifestLimitBytes = mebibytes(4);

/**
 * Reads artifacts from OCI registries: single files as ORAS pushes them, and tar layers.
 * https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pull
 */
export class OciFetcher implements ArtifactFetcher, AsyncDisposable {
  private readonly http: OciHttp;
  private readonly credentials: OciCredentials;

  /** @throws SLU_PLATFORM_SETTING */
  constructor({ auth, plainHttp = [], guard }: OciFetcherSettings) {
    this.http = new OciHttp(plainHttp, guard);
    this.credentials = parseOciCredentials(auth);
  }

  async fetch(source: string, staging: ArtifactStaging, signal: AbortSignal): Promise<void> {
    const reference = parseOciReference(source);
    const session = new OciSession(this.http, this.credentials, reference, signal);
    const layers = await session.layers();
    const bytes = layers.reduce((sum, layer) => sum + layer.bytes, 0);
    if (bytes > staging.limits.totalBytes)
      throw tooLarge(`its layers have more than ${staging.limits.totalBytes} bytes`);
    for (const layer of layers) {
      const download = await session.open(layer);
      if (layer.kind.as === 'file') await stageFile(download, layer.kind.path, staging);
      else await stageTar(download, layer.kind.as, staging);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.http[Symbol.asyncDispose]();
  }
}

/** One pull: keeps the token that the registry gave. */
class OciSession {
  private authorization: string | undefined;

  constructor(
    private readonly http: OciHttp,
    private readonly credentials: OciCredentials,
    private readonly reference: OciReference,
    private readonly signal: AbortSignal,
  ) {}

  async layers(): Promise<OciLayer[]> {
    const { reference } = this.reference;
    const answer = await this.get(`manifests/${reference}`, { accept: manifestTypes.join(', ') });
    const body = await this.http.small(answer, manifestLimitBytes);
    const found = `sha256:${createHash('sha256').update(body).digest('hex')}`;
    const header = answer.headers['docker-content-digest'];
    const stated = reference.startsWith('sha256:') ? reference : typeof header === 'string' ? header : found;
    if (stated.startsWith('sha256:') && stated !== found)
      throw refused(`the OCI manifest has ${found}, not the ${shownName(stated)} stated`);
    const type = answer.headers['content-type'];
    return layersOf(body, typeof type === 'string' ? type : undefined);
  }

  async open({ digest, bytes }: OciLayer): Promise<Download> {
    const { body, headers } = await this.get(`blobs/${digest}`, {});
    const length = headers['content-length'];
    if (typeof length === 'string' && Number(length) !== bytes) {
      release(body);
      throw refused(`the layer ${digest} has ${shownName(length)} bytes, not the ${bytes} stated`);
    }
    return { body, bytes, sha256: digest.slice('sha256:'.length), shownAs: `the layer ${digest}` };
  }

  private async get(path: string, headers: Record<string, string>): Promise<OciAnswer> {
    const { registry, repository } = this.reference;
    const url = `${this.http.origin(registry)}/v2/${repository}/${path}`;
    let answer = await this.ask(url, headers);
    if (answer.status === 401) {
      const challenge = answer.headers['www-authenticate'];
      await discard(answer.body);
      if (typeof challenge !== 'string') throw sourceFailed(`${shownName(registry)} refuses this server`);
      this.authorization = await authorizationFor(challenge, this.reference, {
        http: this.http,
        credentials: this.credentials,
        signal: this.signal,
      });
      answer = await this.ask(url, headers);
    }
    if (answer.status === 200) return answer;
    await discard(answer.body);
    if (answer.status === 404)
      throw unreadable(`there is no ${shownName(path)} in ${shownName(`${registry}/${repository}`)}`);
    if (answer.status === 401 || answer.status === 403)
      throw sourceFailed(`${shownName(registry)} refuses the credentials of this server`);
    throw sourceFailed(`${shownName(registry)} answered ${answer.status}`);
  }

  private ask(url: string, headers: Record<string, string>): Promise<OciAnswer> {
    const { authorization } = this;
    return this.http.get(url, authorization === undefined ? headers : { ...headers, authorization }, this.signal);
  }
}
