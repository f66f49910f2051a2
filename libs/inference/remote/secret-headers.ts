import type { SecretSeal } from '#libs/access';
import { appendAudit } from '#libs/audit';
import { isName, isVersion, sluiceError } from '#libs/kernel';
import { ModelVersionEntity, type Database, type Tx } from '#libs/store';
import type { Manifest } from '../models/manifest.js';
import type { VersionRef } from '../replicas/replica-sets.js';

/** A header's name and when its value was set; null when it was not. Values are shown to nobody. */
export interface SecretHeaderView {
  name: string;
  setAt: Date | null;
}

export interface SecretHeaderWish extends VersionRef {
  /** By name; null takes a value away. What is not named stays. */
  headers: Readonly<Record<string, string | null>>;
  actor: string;
  requestId?: string | undefined;
}

/** What a value is sealed for: in another row it does not open. */
export const sealPurpose = (model: string, version: string, name: string): string[] => [
  'secret header',
  model,
  version,
  name,
];

/** The headers that a remote version is called with and nobody may read: sealed in the database, named in the manifest. */
export class SecretHeaders {
  constructor(
    private readonly database: Database,
    private readonly seal: SecretSeal,
  ) {}

  /** In the order of the manifest. @throws SLU_MODEL_VERSION_UNKNOWN, SLU_MODEL_SECRET_HEADERS */
  async list(ref: VersionRef): Promise<SecretHeaderView[]> {
    return this.database.read(async (tx) => viewsOf(tx, ref, await namesOf(tx, ref)));
  }

  /** @throws SLU_MODEL_VERSION_UNKNOWN, SLU_MODEL_VERSION_ARCHIVED, SLU_MODEL_SECRET_HEADERS */
  async set(wish: SecretHeaderWish): Promise<SecretHeaderView[]> {
    return this.database.run(async (tx) => {
      const names = await namesOf(tx, wish, { isToBeUsed: true });
      const unknown = Object.keys(wish.headers).find((name) => !names.includes(name));
      if (unknown !== undefined) {
        const problem = `is not among remote.secretHeaders of the manifest: ${names.join(', ') || 'it names none'}`;
        throw sluiceError('SLU_MODEL_SECRET_HEADERS', { field: `headers.${unknown}`, problem });
      }
      for (const [name, value] of Object.entries(wish.headers)) await this.put(tx, wish, name, value);
      return viewsOf(tx, wish, names);
    });
  }

  private async put(tx: Tx, wish: SecretHeaderWish, name: string, value: string | null): Promise<void> {
    const { model, version, actor, requestId } = wish;
    if (value === null) {
      await tx.query('DELETE FROM secret_headers WHERE model = $1 AND version = $2 AND name = $3', [
        model,
        version,
        name,
      ]);
    } else {
      const { keyId, sealed } = this.seal.seal(value, sealPurpose(model, version, name));
      await tx.query(
        `INSERT INTO secret_headers (model, version, name, key_id, sealed) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (model, version, name)
         DO UPDATE SET key_id = EXCLUDED.key_id, sealed = EXCLUDED.sealed, set_at = now()`,
        [model, version, name, keyId, sealed],
      );
    }
    await appendAudit(tx, {
      actor,
      action: value === null ? 'model.secret-header.remove' : 'model.secret-header.set',
      resource: `model:${model}/${version}`,
      outcome: 'done',
      requestId,
      detail: { name },
    });
  }
}

async function namesOf(tx: Tx, { model, version }: VersionRef, { isToBeUsed = false } = {}): Promise<string[]> {
  // What can be no name is asked of nobody: the database takes not every text.
  const isNamed = isName(model) && isVersion(version);
  const row = isNamed ? await tx.findOneBy(ModelVersionEntity, { model, version }) : null;
  if (row === null) throw sluiceError('SLU_MODEL_VERSION_UNKNOWN', { model, version });
  if (isToBeUsed && row.state === 'archived') throw sluiceError('SLU_MODEL_VERSION_ARCHIVED', { model, version });
  const { remote } = row.manifest as Manifest;
  if (remote !== undefined) return remote.secretHeaders ?? [];
  const problem = `version ${version} of model ${model} is not served from another server`;
  throw sluiceError('SLU_MODEL_SECRET_HEADERS', { field: 'version', problem });
}

async function viewsOf(tx: Tx, { model, version }: VersionRef, names: readonly string[]): Promise<SecretHeaderView[]> {
  const rows: { name: string; setAt: Date }[] = await tx.query(
    'SELECT name, set_at AS "setAt" FROM secret_headers WHERE model = $1 AND version = $2',
    [model, version],
  );
  const setAt = new Map(rows.map((row) => [row.name, row.setAt]));
  return names.map((name) => ({ name, setAt: setAt.get(name) ?? null }));
}
