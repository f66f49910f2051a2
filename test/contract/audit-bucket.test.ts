import {
  CreateBucketCommand,
  DeleteObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  ListObjectVersionsCommand,
  S3Client,
} from '@aws-sdk/client-s3';
import { AuditKeys } from '#libs/audit';
import { S3Place } from '#libs/audit/adapters/s3';
import { freePort } from '#libs/platform';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { chainStart } from '../../libs/audit/chain-link.js';
import { signedCheckpoint } from '../../libs/audit/checkpoint.js';
import { childServer, type ChildServer } from '../support/child-server.js';
import { pythonEnvironment } from '../support/python-environment.js';

const keys = new AuditKeys(Buffer.alloc(32, 1));
const region = 'us-east-1';
let server: ChildServer;
let client: S3Client;
let endpoint: string;
beforeAll(async () => {
  const python = await pythonEnvironment('artifact-stores', ['moto[server,s3]==5.2.5', 'oras==0.2.43']);
  vi.stubEnv('AWS_ACCESS_KEY_ID', 'test');
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'test');
  // Whoever runs this must not reach a store of his own by his own profile.
  vi.stubEnv('AWS_CONFIG_FILE', '/dev/null');
  vi.stubEnv('AWS_SHARED_CREDENTIALS_FILE', '/dev/null');
  const port = await freePort();
  server = await childServer(python, ['-m', 'moto.server', '-H', '127.0.0.1', '-p', String(port)], { port });
  endpoint = `http://127.0.0.1:${port}`;
  client = new S3Client({ endpoint, region, forcePathStyle: true });
  await client.send(new CreateBucketCommand({ Bucket: 'locked', ObjectLockEnabledForBucket: true }));
  await client.send(new CreateBucketCommand({ Bucket: 'open' }));
});
afterAll(async () => {
  client?.destroy();
  await server?.[Symbol.asyncDispose]();
  vi.unstubAllEnvs();
});

const place = (bucket: string) => new S3Place({ bucket, prefix: 'audit', lockDays: 30, endpoint, region });
const checkpointAt = (at: string, position: number) =>
  signedCheckpoint(keys, { ...chainStart, position }, new Date(at));
async function countsOf(from: S3Place): Promise<number[]> {
  const counts: number[] = [];
  for await (const text of from.read()) counts.push((JSON.parse(text) as { count: number }).count);
  return counts;
}

it('keeps each checkpoint under a lock that nobody may lift, and gives them back in order', async () => {
  using locked = place('locked');
  await locked.put(checkpointAt('2026-11-01T10:00:00Z', 1));
  await locked.put(checkpointAt('2026-11-01T11:00:00Z', 2));
  await locked.put(checkpointAt('2026-11-02T09:00:00Z', 3));
  await locked.put(checkpointAt('2026-11-02T10:00:00Z', 4));
  expect(await countsOf(locked)).toEqual([2, 3, 4]);
  const { Contents } = await client.send(new ListObjectsV2Command({ Bucket: 'locked' }));
  const Key = Contents?.[0]?.Key;
  const kept = await client.send(new HeadObjectCommand({ Bucket: 'locked', Key }));
  expect([kept.ObjectLockMode, kept.ObjectLockRetainUntilDate]).toEqual([
    'COMPLIANCE',
    new Date('2026-12-01T10:00:00Z'),
  ]);
});

it('refuses that a checkpoint is removed while its lock lasts', async () => {
  using locked = place('locked');
  await locked.put(checkpointAt(new Date().toISOString(), 5));
  const { Versions } = await client.send(new ListObjectVersionsCommand({ Bucket: 'locked' }));
  const { Key, VersionId } = Versions!.at(-1)!;
  await expect(client.send(new DeleteObjectCommand({ Bucket: 'locked', Key, VersionId }))).rejects.toThrow(/Access/i);
});

it('is an error with a bucket that has no lock, or that is not there', async () => {
  using open = place('open');
  using nowhere = place('nowhere');
  await expect(open.put(checkpointAt('2026-11-01T10:00:00Z', 1))).rejects.toThrow(/lock/i);
  await expect(nowhere.put(checkpointAt('2026-11-01T10:00:00Z', 1))).rejects.toThrow(/bucket/i);
});
