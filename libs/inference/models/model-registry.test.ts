import { randomUUID } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { entriesOf, sampleArtifact, tarGz } from '../../../test/support/artifact-sample.js';
import { freshDatabase, type FreshDatabase } from '../../../test/support/database.js';
import { ArtifactStore } from '../artifacts/artifact-store.js';
import { Endpoints } from '../routes/endpoints.js';
import { ModelRegistry } from './model-registry.js';
import { ReplicaSets } from '../replicas/replica-sets.js';

let db: FreshDatabase;
let folder: string;
let registry: ModelRegistry;
let endpoints: Endpoints;

beforeEach(async () => {
  db = await freshDatabase();
  folder = await mkdtemp(join(tmpdir(), 'sluice-registry-'));
  const replicaSets = new ReplicaSets(db.database);
  registry = new ModelRegistry(db.database, new ArtifactStore({ folder, folderAccess: { kind: 'any' } }), replicaSets);
  endpoints = new Endpoints(db.database, replicaSets);
});
afterEach(async () => {
  await db[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

const archive = (rest: Record<string, unknown> = {}): Readable =>
  Readable.from([tarGz(entriesOf(sampleArtifact(rest)))]);
const register = (rest: Record<string, unknown> = {}) => registry.registerArchive(archive(rest), 'key:test', 'r-1');
const audit = () =>
  db.database.query<{ action: string; resource: string }>('SELECT action, resource FROM audit_events ORDER BY seq');
const onDisk = async (): Promise<string[]> => (await readdir(folder, { recursive: true })).sort();

const placed = [
  '.staging',
  'sample',
  'sample/1',
  'sample/1/data',
  'sample/1/data/words.txt',
  'sample/1/model.onnx',
  'sample/1/sluice.json',
];

describe('registering', () => {
  it('writes the folder, the row and the audit row, and nothing else', async () => {
    const { created, version } = await register();
    expect(created).toBe(true);
    expect(version).toMatchObject({ model: 'sample', version: '1', state: 'registered', registeredBy: 'key:test' });
    expect(await onDisk()).toEqual(placed);
    expect(await audit()).toEqual([{ action: 'model.register', resource: 'model:sample/1' }]);
    const rows = await db.database.query<{ artifact_path: string }>('SELECT artifact_path FROM model_versions');
    expect(rows[0]?.artifact_path).toBe(join(folder, 'sample/1'));
  });

  it('the same content again answers the same version and writes nothing', async () => {
    const first = await register();
    const again = await register();
    expect(again).toEqual({ created: false, version: first.version });
    expect(await audit()).toHaveLength(1);
    expect(await onDisk()).toEqual(placed);
  });

  it('other content under the same version is a conflict, and the first stays as it was', async () => {
    await register();
    const before = await readFile(join(folder, 'sample/1/sluice.json'), 'utf8');
    await expect(register({ description: 'other' })).rejects.toMatchObject({ code: 'SLU_MODEL_CONFLICT' });
    expect(await readFile(join(folder, 'sample/1/sluice.json'), 'utf8')).toBe(before);
    expect(await onDisk()).toEqual(placed);
  });

  it('of one version ten times at once: one is created, the others are the same', async () => {
    const all = await Promise.all(Array.from({ length: 10 }, () => register()));
    expect(all.filter(({ created }) => created)).toHaveLength(1);
    expect(await onDisk()).toEqual(placed);
  });

  it('of one version with two contents at once: one wins, the other is a conflict', async () => {
    const both = await Promise.allSettled([register({ description: 'a' }), register({ description: 'b' })]);
    expect(both.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    expect(both.find(({ status }) => status === 'rejected')).toMatchObject({ reason: { code: 'SLU_MODEL_CONFLICT' } });
    expect(await onDisk()).toEqual(placed);
  });

  it('leaves no folder when its transaction fails', async () => {
    await db.database.query('ALTER TABLE audit_events ADD CONSTRAINT full_up CHECK (seq < 0)');
    await expect(register()).rejects.toThrow();
    expect(await onDisk()).toEqual(['.staging', 'sample']);
    expect(await registry.list()).toEqual([]);
  });

  it('takes a manifest alone for a version that runs elsewhere, and refuses one that no writer of JSON can hold', async () => {
    const remote = { protocol: 'oip', targets: [{ url: 'http://127.0.0.1:9' }] };
    const tensors = [{ name: 'x', datatype: 'FP32', shape: [-1, 1] }];
    const manifest = {
      schemaVersion: 1,
      name: 'far',
      version: '1',
      format: 'remote',
      inputs: tensors,
      outputs: tensors,
      remote,
    };
    const { created, version } = await registry.registerManifest(manifest, 'key:test');
    expect([created, version.format, await onDisk()]).toEqual([
      true,
      'remote',
      ['.staging', 'far', 'far/1', 'far/1/sluice.json'],
    ]);
    const deep: unknown = JSON.parse('['.repeat(200_000) + ']'.repeat(200_000));
    await expect(
      registry.registerManifest({ ...manifest, version: '2', warmup: deep }, 'key:test'),
    ).rejects.toMatchObject({
      code: 'SLU_ARTIFACT_REFUSED',
    });
    await expect(
      registry.registerManifest({ ...manifest, description: 'x'.repeat(20_000_000) }, 'key:test'),
    ).rejects.toMatchObject({
      code: 'SLU_ARTIFACT_TOO_LARGE',
    });
    expect(await readdir(join(folder, '.staging'))).toEqual([]);
  });

  it('refuses a version that differs from another in case only', async () => {
    await register({ version: 'v1' });
    await expect(register({ version: 'V1' })).rejects.toMatchObject({ code: 'SLU_ARTIFACT_REFUSED' });
    expect((await registry.list()).map(({ version }) => version)).toEqual(['v1']);
    expect(await readdir(join(folder, 'sample'))).toEqual(['v1']);
  });
});

describe('the sweep at the start', () => {
  it('takes away what a crash left and nothing that is registered or being staged elsewhere', async () => {
    await register();
    await mkdir(join(folder, 'sample/2'), { recursive: true });
    await writeFile(join(folder, 'sample/2/model.onnx'), 'orphan');
    const dead = `${hostname()}~4194305~${randomUUID()}`;
    const elsewhere = `another-machine~1~${randomUUID()}`;
    for (const name of [dead, elsewhere]) await mkdir(join(folder, '.staging', name));
    await registry.sweep();
    expect(await onDisk()).toEqual(['.staging', `.staging/${elsewhere}`, ...placed.slice(1)]);
  });

  it('touches nothing when the database knows hardly any of the artifacts: it is another one', async () => {
    await register();
    await db.database.query('DELETE FROM model_versions');
    await registry.sweep();
    expect(await onDisk()).toEqual(['.staging', ...placed.slice(1)]);
  });

  it('does nothing in an empty place', async () => {
    await registry.sweep();
    expect(await onDisk()).toEqual([]);
  });

  it('a folder without a row does not stop the registration of that version', async () => {
    await mkdir(join(folder, 'sample/1'), { recursive: true });
    await writeFile(join(folder, 'sample/1/left-over'), 'orphan');
    expect(await register()).toMatchObject({ created: true });
    expect(await onDisk()).toEqual(placed);
  });
});

describe('archiving', () => {
  it('takes a version out of use, once, with its audit row', async () => {
    await register();
    expect(await registry.archive('sample', '1', 'key:a')).toMatchObject({ state: 'archived' });
    expect(await registry.archive('sample', '1', 'key:b')).toMatchObject({ state: 'archived' });
    expect((await audit()).map(({ action }) => action)).toEqual(['model.register', 'model.archive']);
    expect((await registry.get('sample', '1')).state).toBe('archived');
  });

  it('is refused while a live route has the version, naming the endpoint', async () => {
    await register();
    await endpoints.create({ name: 'front', model: 'sample', version: '1', actor: 'key:a' });
    await expect(registry.archive('sample', '1', 'key:a')).rejects.toMatchObject({
      code: 'SLU_MODEL_VERSION_IN_USE',
      detail: { usedBy: 'endpoint front' },
    });
  });

  it('of a version that nothing routes to any more takes its warm replicas too', async () => {
    await register();
    await register({ version: '2' });
    await endpoints.create({ name: 'front', model: 'sample', version: '1', actor: 'key:a' });
    await endpoints.writeRoute({
      endpoint: 'front',
      arms: [{ name: 'stable', version: '2', weight: 100 }],
      reason: 'test',
      madeBy: 'key:a',
    });
    await registry.archive('sample', '1', 'key:a');
    expect(await db.database.query('SELECT version, desired FROM replica_sets')).toEqual([
      { version: '1', desired: 0 },
    ]);
  });

  it('of an unknown version is refused', async () => {
    await expect(registry.archive('sample', '9', 'key:a')).rejects.toMatchObject({ code: 'SLU_MODEL_VERSION_UNKNOWN' });
  });
});
