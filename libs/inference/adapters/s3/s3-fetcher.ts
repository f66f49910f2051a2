import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import type { Readable } from 'node:stream';
import { secondsToMs } from '#libs/kernel';
import type { GetObjectCommandOutput, S3Client } from '@aws-sdk/client-s3';
import { anySource } from '../../artifacts/artifact-address.js';
import { stageFile, stageTar, type Download } from '../../artifacts/artifact-download.js';
import { refused, shownName, tooLarge, unreadable } from '../../artifacts/artifact-refusal.js';
import { closed, sourceFailed, type ArtifactFetcher } from '../../artifacts/artifact-sources.js';
import type { ArtifactStaging } from '../../artifacts/artifact-staging.js';

export interface S3FetcherSettings {
  /** `http(s)://host:port` of an S3-compatible store; unset: AWS itself. */
  endpoint?: string | undefined;
  region?: string | undefined;
}

interface S3Place {
  bucket: string;
  /** Without a slash at its end. */
  key: string;
}

interface S3Object {
  key: string;
  bytes: number;
  etag: string | undefined;
}

const connectSeconds = 5;
const silenceSeconds = 30;
const attempts = 3;
/** Names in a listing that are no files of the artifact still cost a round trip for each thousand of them. */
const mostPages = 20;

/**
 * Reads `s3://bucket/prefix` (every object below it) or `s3://bucket/key.tar.gz`. Credentials come from AWS's standard
 * chain: environment, shared files, web identity, container or machine role.
 */
export class S3Fetcher implements ArtifactFetcher, Disposable {
  private client: Promise<S3Client> | undefined;

  constructor(private readonly settings: S3FetcherSettings) {}

  async fetch(source: string, staging: ArtifactStaging, signal: AbortSignal): Promise<void> {
    const place = placeOf(source);
    const packing = packingOf(place.key);
    try {
      if (packing !== undefined) {
        await stageTar(await this.open(place.bucket, { key: place.key }, signal), packing, staging);
        return;
      }
      for (const object of await this.list(place, staging.limits.entries, signal)) {
        const path = place.key === '' ? object.key : object.key.slice(place.key.length + 1);
        await stageFile(await this.open(place.bucket, object, signal), path, staging);
      }
    } catch (failure) {
      throw explained(failure, source);
    }
  }

  [Symbol.dispose](): void {
    this.client?.then(
      (client) => client.destroy(),
      () => undefined,
    );
  }

  private async list({ bucket, key }: S3Place, most: number, signal: AbortSignal): Promise<S3Object[]> {
    const { ListObjectsV2Command } = await sdk();
    const client = await this.connect();
    const prefix = key === '' ? '' : `${key}/`;
    const found: S3Object[] = [];
    let token: string | undefined;
    for (let page = 0; page < mostPages; page += 1) {
      const ask = new ListObjectsV2Command({ Bucket: bucket, Prefix: prefix, ContinuationToken: token });
      const answer = await client.send(ask, { abortSignal: signal });
      for (const { Key, Size = 0, ETag } of answer.Contents ?? []) {
        // Consoles mark a folder by an empty object whose name ends so.
        if (Key === undefined || Key === prefix || (Key.endsWith('/') && Size === 0)) continue;
        if (!Key.startsWith(prefix)) throw refused(`the store listed ${shownName(Key)}, which was not asked for`);
        found.push({ key: Key, bytes: Size, etag: ETag });
        if (found.length > most) throw tooLarge(`it has more than ${most} files and folders`);
      }
      token = answer.NextContinuationToken;
      if (answer.IsTruncated !== true || token === undefined) break;
    }
    if (found.length === 0) throw unreadable(`there is nothing below s3://${bucket}/${shownName(prefix)}`);
    return found;
  }

  private async open(
    bucket: string,
    object: { key: string; bytes?: number; etag?: string | undefined },
    signal: AbortSignal,
  ): Promise<Download> {
    const { GetObjectCommand } = await sdk();
    const client = await this.connect();
    // An object that was replaced since it was listed would make a mixture of two uploads.
    const ask = new GetObjectCommand({ Bucket: bucket, Key: object.key, IfMatch: object.etag });
    const answer: GetObjectCommandOutput = await client.send(ask, { abortSignal: signal });
    const bytes = object.bytes ?? answer.ContentLength;
    if (answer.Body === undefined || bytes === undefined)
      throw sourceFailed(`${shownName(object.key)} came without its length`);
    return { body: answer.Body as unknown as Readable, bytes, shownAs: object.key };
  }

  private connect(): Promise<S3Client> {
    return (this.client ??= this.makeClient());
  }

  private async makeClient(): Promise<S3Client> {
    const { endpoint, region } = this.settings;
    const place = new URL(endpoint ?? 'https://s3.amazonaws.com');
    const problem = anySource.problemOf(place);
    if (problem !== undefined) throw closed(`${place.host} ${problem}`);
    const { S3Client } = await sdk();
    const agent = { keepAlive: true, maxSockets: 8, lookup: anySource.lookupFor(place) as never };
    return new S3Client({
      ...(endpoint !== undefined && { endpoint, forcePathStyle: true }),
      // Stores of one's own rarely have regions; the signature needs one all the same.
      ...(region !== undefined ? { region } : endpoint !== undefined && { region: 'us-east-1' }),
      maxAttempts: attempts,
      followRegionRedirects: false,
      requestHandler: {
        connectionTimeout: secondsToMs(connectSeconds),
        socketTimeout: secondsToMs(silenceSeconds),
        httpAgent: new HttpAgent(agent),
        httpsAgent: new HttpsAgent(agent),
      },
    });
  }
}

// Loaded with the first use: most installations never fetch from S3, and it is no small library.
const sdk = (): Promise<typeof import('@aws-sdk/client-s3')> => import('@aws-sdk/client-s3');

const sourcePattern = /^s3:\/\/([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:\/([^?#]{0,900}))?$/;

/** @throws SLU_ARTIFACT_REFUSED */
function placeOf(source: string): S3Place {
  const match = sourcePattern.exec(source);
  const bucket = match?.[1];
  if (bucket === undefined || bucket.includes('..')) throw refused(`source: must be s3://bucket/prefix`);
  const key = (match?.[2] ?? '').replace(/\/+$/, '');
  if (key.split('/').some((segment) => segment === '..' || segment === '.'))
    throw refused('source: the prefix must not have . or .. in it');
  return { bucket, key };
}

function packingOf(key: string): 'tar.gz' | 'tar' | undefined {
  if (/\.(?:tar\.gz|tgz)$/i.test(key)) return 'tar.gz';
  return /\.tar$/i.test(key) ? 'tar' : undefined;
}

function explained(failure: unknown, source: string): unknown {
  const { name, $metadata } = (failure ?? {}) as { name?: string; $metadata?: { httpStatusCode?: number } };
  if (name === 'NoSuchBucket' || name === 'NoSuchKey' || name === 'NotFound' || $metadata?.httpStatusCode === 404)
    return unreadable(`there is nothing at ${shownName(source)}`, failure);
  if ($metadata?.httpStatusCode === 412)
    return sourceFailed('it was replaced while it was fetched; try again', failure);
  if ($metadata?.httpStatusCode === 401 || $metadata?.httpStatusCode === 403)
    return sourceFailed('the store refuses the credentials of this server', failure);
  if (name === 'CredentialsProviderError' || name === 'CredentialsError')
    return sourceFailed('this server has no credentials for the store', failure);
  if (typeof $metadata?.httpStatusCode === 'number' && $metadata.httpStatusCode >= 300)
    return sourceFailed(`the store answered ${$metadata.httpStatusCode}`, failure);
  return failure;
}
