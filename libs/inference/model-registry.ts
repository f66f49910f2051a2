import type { Readable } from 'node:stream';
import { appendAudit } from '#libs/audit';
import { sluiceError } from '#libs/kernel';
import { ModelVersionEntity, type Database, type Tx } from '#libs/store';
import type { ArtifactStore, StagedArtifact } from './artifact-store.js';
import type { Manifest } from './manifest.js';
import { usesOf } from './model-version-uses.js';
import type { ReplicaSets } from './replica-sets.js';

export interface ModelVersionView {
  model: string;
  version: string;
  format: string;
  state: 'registered' | 'archived';
  contentDigest: string;
  manifest: Manifest;
  registeredAt: Date;
  registeredBy: string;
}

export interface Registration {
  /** False when the same content was registered before. */
  created: boolean;
  version: ModelVersionView;
}

/** Which model versions there are. A version's row, its folder and its audit row exist together or not at all. */
export class ModelRegistry {
  constructor(
    private readonly database: Database,
    private readonly store: ArtifactStore,
    private readonly replicaSets: ReplicaSets,
  ) {}

  /** @throws SLU_ARTIFACT_*, SLU_MODEL_CONFLICT */
  async registerFolder(path: string, actor: string, requestId?: string): Promise<Registration> {
    await using staged = await this.store.stageFolder(path);
    return await this.register(staged, actor, requestId);
  }

  /** @param archive a `.tar.gz` @throws SLU_ARTIFACT_*, SLU_MODEL_CONFLICT */
  async registerArchive(archive: Readable, actor: string, requestId?: string): Promise<Registration> {
    await using staged = await this.store.stageArchive(archive);
    return await this.register(staged, actor, requestId);
  }

  /** @param manifest of a version that has no files, because it runs elsewhere @throws SLU_ARTIFACT_*, SLU_MODEL_CONFLICT */
  async registerManifest(manifest: unknown, actor: string, requestId?: string): Promise<Registration> {
    await using staged = await this.store.stageManifest(manifest);
    return await this.register(staged, actor, requestId);
  }

  /** All versions of all models, the newest of each model first. */
  async list(model?: string): Promise<ModelVersionView[]> {
    const rows = await this.database.read((tx) =>
      tx.find(ModelVersionEntity, {
        ...(model === undefined ? {} : { where: { model } }),
        order: { model: 'ASC', registeredAt: 'DESC', version: 'DESC' },
      }),
    );
    return rows.map(viewOf);
  }

  /** @throws SLU_MODEL_VERSION_UNKNOWN */
  async get(model: string, version: string): Promise<ModelVersionView> {
    const row = await this.database.read((tx) => tx.findOneBy(ModelVersionEntity, { model, version }));
    if (row === null) throw sluiceError('SLU_MODEL_VERSION_UNKNOWN', { model, version });
    return viewOf(row);
  }

  /** Takes a version out of use for good. A second time changes nothing. @throws SLU_MODEL_VERSION_UNKNOWN, SLU_MODEL_VERSION_IN_USE */
  async archive(model: string, version: string, actor: string, requestId?: string): Promise<ModelVersionView> {
    return this.database.run(async (tx) => {
      const row = await tx.findOne(ModelVersionEntity, {
        where: { model, version },
        lock: { mode: 'pessimistic_write' },
      });
      if (row === null) throw sluiceError('SLU_MODEL_VERSION_UNKNOWN', { model, version });
      if (row.state === 'archived') return viewOf(row);
      const usedBy = await usesOf(tx, model, version);
      if (usedBy.length > 0)
        throw sluiceError('SLU_MODEL_VERSION_IN_USE', { model, version, usedBy: usedBy.join(', ') });
      // Nothing sends it traffic any more, so replicas that were kept warm go as well.
      await this.replicaSets.scaleDown(tx, { model, version, actor, requestId });
      await tx.update(ModelVersionEntity, { model, version }, { state: 'archived' });
      // Nobody calls with them any more.
      await tx.query('DELETE FROM secret_headers WHERE model = $1 AND version = $2', [model, version]);
      await appendAudit(tx, {
        actor,
        action: 'model.archive',
        resource: `model:${model}/${version}`,
        outcome: 'done',
        ...(requestId === undefined ? {} : { requestId }),
      });
      return viewOf({ ...row, state: 'archived' });
    });
  }

  /** Takes away what crashes have left: stale staging folders, and folders whose row was never committed. For the start. */
  async sweep(): Promise<void> {
    await this.store.removeStaleStaging();
    const stored = await this.store.stored();
    const rows = await this.database.read((tx) =>
      tx.find(ModelVersionEntity, { select: { model: true, version: true } }),
    );
    const registered = new Set(rows.map(({ model, version }) => `${model}/${version}`));
    const strays = stored.filter(({ model, version }) => !registered.has(`${model}/${version}`));
    // Crashes leave few. A database that knows hardly any of the artifacts is not theirs, and must not cost them.
    if (strays.length * 2 > stored.length) return;
    for (const { model, version } of strays) await this.removeUnlessRegistered(model, version);
  }

  private async register(staged: StagedArtifact, actor: string, requestId: string | undefined): Promise<Registration> {
    const { name: model, version } = staged.manifest;
    let isPlaced = false;
    try {
      return await this.database.run(async (tx) => {
        await lockVersion(tx, model, version);
        const existing = await tx.findOneBy(ModelVersionEntity, { model, version });
        if (existing !== null) return alreadyRegistered(existing, staged);
        isPlaced = true;
        const artifactPath = await staged.place();
        return { created: true, version: await insertVersion(tx, { staged, artifactPath, actor, requestId }) };
      });
    } catch (failure) {
      // With the database away this fails too, and the sweep at the next start does it.
      if (isPlaced) await this.removeUnlessRegistered(model, version).catch(() => undefined);
      throw failure;
    }
  }

  /** Asks under the version's lock, as a commit whose answer was lost may well have happened. */
  private async removeUnlessRegistered(model: string, version: string): Promise<void> {
    await this.database.run(async (tx) => {
      await lockVersion(tx, model, version);
      if (!(await tx.existsBy(ModelVersionEntity, { model, version }))) await this.store.remove(model, version);
    });
  }
}

/** Held to the end of the transaction: registrations of one version, and the sweep, come one after the other. */
async function lockVersion(tx: Tx, model: string, version: string): Promise<void> {
  await tx.query('SELECT pg_advisory_xact_lock(hashtextextended($1, 0))', [`model version ${model}/${version}`]);
}

function alreadyRegistered(existing: ModelVersionEntity, staged: StagedArtifact): Registration {
  if (existing.contentDigest === staged.contentDigest) return { created: false, version: viewOf(existing) };
  throw sluiceError('SLU_MODEL_CONFLICT', { model: existing.model, version: existing.version });
}

interface NewVersion {
  staged: StagedArtifact;
  artifactPath: string;
  actor: string;
  requestId: string | undefined;
}

async function insertVersion(
  tx: Tx,
  { staged, artifactPath, actor, requestId }: NewVersion,
): Promise<ModelVersionView> {
  const { name: model, version, format, files } = staged.manifest;
  await tx.query(
    `INSERT INTO model_versions (model, version, format, manifest, content_digest, artifact_path, state, registered_by)
     VALUES ($1, $2, $3, $4, $5, $6, 'registered', $7)`,
    [model, version, format, JSON.stringify(staged.manifest), staged.contentDigest, artifactPath, actor],
  );
  await appendAudit(tx, {
    actor,
    action: 'model.register',
    resource: `model:${model}/${version}`,
    outcome: 'done',
    ...(requestId === undefined ? {} : { requestId }),
    detail: { contentDigest: staged.contentDigest, files: files.length },
  });
  return viewOf(await tx.findOneByOrFail(ModelVersionEntity, { model, version }));
}

function viewOf(row: ModelVersionEntity): ModelVersionView {
  return {
    model: row.model,
    version: row.version,
    format: row.format,
    state: row.state,
    contentDigest: row.contentDigest,
    manifest: row.manifest as Manifest,
    registeredAt: row.registeredAt,
    registeredBy: row.registeredBy,
  };
}
