import { open } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { appendAudit } from '#libs/audit';
import { mebibytes, sluiceError } from '#libs/kernel';
import { ModelVersionEntity, type Database, type Tx } from '#libs/store';
import type { LayoutName } from '../artifacts/artifact-layout.js';
import type { LayoutWish } from '../artifacts/artifact-layout-files.js';
import { refused, shownName, tooLarge } from '../artifacts/artifact-refusal.js';
import type { ArtifactStore, StagedArtifact } from '../artifacts/artifact-store.js';
import type { Manifest } from './manifest.js';
import { ModelSignatures, type NewSignature } from './model-signatures.js';
import { usesOf } from './model-version-uses.js';
import type { ReplicaSets } from '../replicas/replica-sets.js';

export interface ModelVersionView {
  model: string;
  version: string;
  format: string;
  state: 'registered' | 'archived';
  contentDigest: string;
  manifest: Manifest;
  layout: LayoutName;
  /** Where it was fetched from; null for a folder or an upload. */
  source: string | null;
  /** What its layout, or a signature that came with it, asked for and is not honoured. */
  warnings: string[];
  registeredAt: Date;
  registeredBy: string;
}

export interface Registration {
  /** False when the same content was registered before. */
  created: boolean;
  version: ModelVersionView;
}

/** Who registers a version, and where from. */
interface Origin {
  actor: string;
  requestId?: string | undefined;
  source?: string | undefined;
}

const bundleLimitBytes = mebibytes(1);

/** Which model versions there are. A version's row, its folder and its audit row exist together or not at all. */
export class ModelRegistry {
  constructor(
    private readonly database: Database,
    private readonly store: ArtifactStore,
    private readonly replicaSets: ReplicaSets,
    private readonly signatures = new ModelSignatures(database),
  ) {}

  /** @throws SLU_ARTIFACT_*, SLU_SIGNATURE_*, SLU_MODEL_CONFLICT */
  async registerFolder(path: string, actor: string, requestId?: string, wish?: LayoutWish): Promise<Registration> {
    await using staged = await this.store.stageFolder(path, wish);
    return await this.register(staged, { actor, requestId });
  }

  /** @param archive a `.tar.gz` @throws SLU_ARTIFACT_*, SLU_SIGNATURE_*, SLU_MODEL_CONFLICT */
  async registerArchive(
    archive: Readable,
    actor: string,
    requestId?: string,
    wish?: LayoutWish,
  ): Promise<Registration> {
    await using staged = await this.store.stageArchive(archive, wish);
    return await this.register(staged, { actor, requestId });
  }

  /** @param source `s3://...` or `oci://...` @throws SLU_ARTIFACT_*, SLU_SIGNATURE_*, SLU_MODEL_CONFLICT */
  async registerSource(source: string, actor: string, requestId?: string, wish?: LayoutWish): Promise<Registration> {
    await using staged = await this.store.stageSource(source, wish);
    return await this.register(staged, { actor, requestId, source });
  }

  /** @param manifest of a version that has no files, because it runs elsewhere @throws SLU_ARTIFACT_*, SLU_MODEL_CONFLICT */
  async registerManifest(manifest: unknown, actor: string, requestId?: string): Promise<Registration> {
    await using staged = await this.store.stageManifest(manifest);
    return await this.register(staged, { actor, requestId });
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
        requestId,
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

  private async register(staged: StagedArtifact, origin: Origin): Promise<Registration> {
    const { name: model, version } = staged.manifest;
    const signatures = await signaturesWith(staged);
    let isPlaced = false;
    try {
      return await this.database.run(async (tx) => {
        await lockVersion(tx, model, version);
        const existing = await tx.findOneBy(ModelVersionEntity, { model, version });
        if (existing !== null) return await this.again(tx, existing, staged, { origin, signatures });
        isPlaced = true;
        const artifactPath = await staged.place();
        const row = await insertVersion(tx, { staged, artifactPath, ...origin });
        const warnings = await this.sign(tx, row, signatures, origin);
        return { created: true, version: viewOf({ ...row, warnings: [...row.warnings, ...warnings] }) };
      });
    } catch (failure) {
      // With the database away this fails too, and the sweep at the next start does it.
      if (isPlaced) await this.removeUnlessRegistered(model, version).catch(() => undefined);
      throw failure;
    }
  }

  /** The same content may come again with more signatures than before. */
  private async again(
    tx: Tx,
    existing: ModelVersionEntity,
    staged: StagedArtifact,
    { origin, signatures }: { origin: Origin; signatures: readonly NewSignature[] },
  ): Promise<Registration> {
    const { model, version } = existing;
    if (existing.contentDigest !== staged.contentDigest) throw sluiceError('SLU_MODEL_CONFLICT', { model, version });
    const warnings = await this.sign(tx, existing, signatures, origin);
    return { created: false, version: viewOf({ ...existing, warnings: [...existing.warnings, ...warnings] }) };
  }

  private async sign(
    tx: Tx,
    row: ModelVersionEntity,
    signatures: readonly NewSignature[],
    by: Origin,
  ): Promise<string[]> {
    const warnings: string[] = [];
    for (const signature of signatures) {
      const { problem } = await this.signatures.addIn(tx, row, signature, by, 'with the artifact');
      if (problem !== null) warnings.push(`a signature does not count: ${problem}`);
    }
    return warnings;
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

/** Those that its manifest states, with the bundles that lie beside it. @throws SLU_ARTIFACT_REFUSED */
async function signaturesWith({ manifest, content }: StagedArtifact): Promise<NewSignature[]> {
  const found: NewSignature[] = [];
  for (const stated of manifest.signatures ?? []) {
    if (stated.algorithm === 'ed25519') found.push(stated);
    else found.push({ algorithm: 'sigstore', bundle: await readBundle(content, stated.bundlePath) });
  }
  return found;
}

async function readBundle(folder: string, path: string): Promise<unknown> {
  const handle = await open(join(folder, path), 'r');
  try {
    const { bytesRead, buffer } = await handle.read(Buffer.alloc(bundleLimitBytes + 1), 0, bundleLimitBytes + 1, 0);
    if (bytesRead > bundleLimitBytes) throw tooLarge(`${shownName(path)} has more than ${bundleLimitBytes} bytes`);
    return JSON.parse(buffer.toString('utf8', 0, bytesRead));
  } catch (failure) {
    if (failure instanceof SyntaxError) throw refused(`${shownName(path)} is not valid JSON`);
    throw failure;
  } finally {
    await handle.close();
  }
}

interface NewVersion extends Origin {
  staged: StagedArtifact;
  artifactPath: string;
}

async function insertVersion(tx: Tx, { staged, artifactPath, ...origin }: NewVersion): Promise<ModelVersionEntity> {
  const { name: model, version, format, files } = staged.manifest;
  const { actor, requestId, source } = origin;
  await tx.query(
    `INSERT INTO model_versions
       (model, version, format, manifest, content_digest, artifact_path, state, registered_by, layout, source, warnings)
     VALUES ($1, $2, $3, $4, $5, $6, 'registered', $7, $8, $9, $10)`,
    [
      model,
      version,
      format,
      JSON.stringify(staged.manifest),
      staged.contentDigest,
      artifactPath,
      actor,
      staged.layout,
      source ?? null,
      JSON.stringify(staged.warnings),
    ],
  );
  await appendAudit(tx, {
    actor,
    action: 'model.register',
    resource: `model:${model}/${version}`,
    outcome: 'done',
    requestId,
    detail: {
      contentDigest: staged.contentDigest,
      files: files.length,
      layout: staged.layout,
      ...(source !== undefined && { source }),
    },
  });
  return tx.findOneByOrFail(ModelVersionEntity, { model, version });
}

function viewOf(row: ModelVersionEntity): ModelVersionView {
  return {
    model: row.model,
    version: row.version,
    format: row.format,
    state: row.state,
    contentDigest: row.contentDigest,
    manifest: row.manifest as Manifest,
    layout: row.layout as LayoutName,
    source: row.source,
    warnings: row.warnings,
    registeredAt: row.registeredAt,
    registeredBy: row.registeredBy,
  };
}
