import { addSeconds, days, secondsToMs } from '#libs/kernel';
import type { S3Client } from '@aws-sdk/client-s3';
import { createHash } from 'node:crypto';
import type { Checkpoint } from '../../checkpoint.js';
import type { CheckpointPlace } from '../../ports/checkpoint-place.js';

export interface S3PlaceSettings {
  bucket: string;
  /** Without a slash at its end; may be empty. */
  prefix: string;
  /** How long nobody may remove a checkpoint. */
  lockDays: number;
  /** `http(s)://host:port` of an S3-compatible store; unset: AWS itself. */
  endpoint?: string | undefined;
  region?: string | undefined;
}

const connectSeconds = 5;
const answerSeconds = 20;
const attempts = 3;

/**
 * A bucket with object lock: an object per checkpoint, which the store itself keeps from everybody, its owner included,
 * until the lock ends. Credentials come from AWS's standard chain.
 */
export class S3Place implements CheckpointPlace, Disposable {
  private client: Promise<S3Client> | undefined;

  constructor(private readonly settings: S3PlaceSettings) {}

  get name(): string {
    return `s3://${this.settings.bucket}/${this.settings.prefix}`;
  }

  async put(checkpoint: Checkpoint): Promise<void> {
    const { PutObjectCommand } = await sdk();
    const { bucket, lockDays } = this.settings;
    const body = JSON.stringify(checkpoint);
    const digest = createHash('sha256').update(body).digest('hex');
    const time = checkpoint.at.slice(11).replace(/\D/g, '');
    const key = `${this.start}${checkpoint.at.slice(0, 10)}/${time}-${checkpoint.count}-${digest.slice(0, 8)}.json`;
    const client = await this.connect();
    await client.send(
      new PutObjectCommand({
        Bucket: bucket,
        Key: key,
        Body: body,
        ContentType: 'application/json',
        // The one digest that every store takes for an object under lock.
        ContentMD5: createHash('md5').update(body).digest('base64'),
        // A bucket without object lock refuses this, and that is what shall happen.
        ObjectLockMode: 'COMPLIANCE',
        ObjectLockRetainUntilDate: addSeconds(new Date(checkpoint.at), days(lockDays)),
      }),
    );
  }

  /** Of each past day the last checkpoint, and all of the latest day: each one is a request to the store. */
  async *read(): AsyncIterable<string> {
    const byDay = new Map<string, string[]>();
    for await (const key of this.keys()) {
      const day = key.slice(this.start.length, this.start.length + 10);
      const known = byDay.get(day);
      if (known === undefined) byDay.set(day, [key]);
      else known.push(key);
    }
    const listed = [...byDay.keys()].sort();
    for (const day of listed) {
      const keys = (byDay.get(day) ?? []).sort();
      for (const key of day === listed.at(-1) ? keys : keys.slice(-1)) yield await this.text(key);
    }
  }

  [Symbol.dispose](): void {
    this.client?.then(
      (client) => client.destroy(),
      () => undefined,
    );
  }

  private get start(): string {
    return this.settings.prefix === '' ? '' : `${this.settings.prefix}/`;
  }

  private async *keys(): AsyncIterable<string> {
    const { ListObjectsV2Command } = await sdk();
    const client = await this.connect();
    let token: string | undefined;
    do {
      const answer = await client.send(
        new ListObjectsV2Command({ Bucket: this.settings.bucket, Prefix: this.start, ContinuationToken: token }),
      );
      for (const { Key } of answer.Contents ?? []) if (Key?.endsWith('.json') === true) yield Key;
      token = answer.IsTruncated === true ? answer.NextContinuationToken : undefined;
    } while (token !== undefined);
  }

  private async text(key: string): Promise<string> {
    const { GetObjectCommand } = await sdk();
    const client = await this.connect();
    const answer = await client.send(new GetObjectCommand({ Bucket: this.settings.bucket, Key: key }));
    return (await answer.Body?.transformToString()) ?? '';
  }

  private connect(): Promise<S3Client> {
    return (this.client ??= this.makeClient());
  }

  private async makeClient(): Promise<S3Client> {
    const { endpoint, region } = this.settings;
    const { S3Client } = await sdk();
    return new S3Client({
      ...(endpoint !== undefined && { endpoint, forcePathStyle: true }),
      ...(region !== undefined ? { region } : endpoint !== undefined && { region: 'us-east-1' }),
      maxAttempts: attempts,
      requestHandler: {
        connectionTimeout: secondsToMs(connectSeconds),
        requestTimeout: secondsToMs(answerSeconds),
        throwOnRequestTimeout: true,
      },
    });
  }
}

// Loaded with the first use, as with artifacts: most installations have no S3.
const sdk = (): Promise<typeof import('@aws-sdk/client-s3')> => import('@aws-sdk/client-s3');
