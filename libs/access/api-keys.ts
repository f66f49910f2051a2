import { randomUUID } from 'node:crypto';
import { appendAudit } from '#libs/audit';
import { sluiceError, systemClock, type Clock } from '#libs/kernel';
import { ApiKeyEntity, type Database, type Tx } from '#libs/store';
import { newKey, prefixOf, type Pepper } from './key-secret.js';
import { defaultProjectId, defaultTenantId, type Role } from './principal.js';

/** A key as people may see it: never the key itself, nor its digest. */
export interface ApiKeyView {
  id: string;
  prefix: string;
  name: string;
  roles: readonly Role[];
  createdAt: Date;
  createdBy: string;
  expiresAt: Date | null;
  revokedAt: Date | null;
}

export interface NewApiKey {
  name: string;
  roles: readonly Role[];
  actor: string;
  tenantId?: string | undefined;
  projectId?: string | undefined;
  expiresAt?: Date | undefined;
  requestId?: string | undefined;
}

export interface ApiKeysSettings {
  database: Database;
  pepper: Pepper;
  clock?: Clock;
  /** Called after each change and awaited, so that whoever was answered can use, or no longer use, the key here at once. */
  afterChange?: (id: string) => Promise<void>;
}

/** The keys as stored. Each change and its audit row commit together. */
export class ApiKeys {
  private readonly clock: Clock;

  constructor(private readonly settings: ApiKeysSettings) {
    this.clock = settings.clock ?? systemClock;
  }

  /** @returns the key itself, for the only time. */
  async create(wish: NewApiKey): Promise<ApiKeyView & { key: string }> {
    const made = await this.settings.database.run((tx) => this.createIn(tx, wish));
    await this.settings.afterChange?.(made.id);
    return made;
  }

  async createIn(tx: Tx, wish: NewApiKey): Promise<ApiKeyView & { key: string }> {
    const key = newKey();
    const row = tx.create(ApiKeyEntity, {
      id: randomUUID(),
      prefix: prefixOf(key),
      name: wish.name,
      roles: [...wish.roles],
      tenantId: wish.tenantId ?? defaultTenantId,
      projectId: wish.projectId ?? defaultProjectId,
      personId: null,
      serviceAccountId: null,
      tier: null,
      endpoints: null,
      networks: null,
      lastUsedAt: null,
      replaces: null,
      digest: this.settings.pepper.digestOf(key),
      createdAt: this.clock.now(),
      createdBy: wish.actor,
      expiresAt: wish.expiresAt ?? null,
      revokedAt: null,
    });
    await tx.insert(ApiKeyEntity, row);
    await appendAudit(tx, {
      actor: wish.actor,
      action: 'key.create',
      resource: `key:${row.id}`,
      outcome: 'done',
      ...(wish.requestId === undefined ? {} : { requestId: wish.requestId }),
      detail: { roles: wish.roles.join(' '), name: wish.name, expiresAt: wish.expiresAt?.toISOString() ?? null },
    });
    return { ...viewOf(row), key };
  }

  /** Ends a key for good; a second revocation changes nothing. @throws SLU_ACCESS_KEY_UNKNOWN */
  async revoke(id: string, actor: string, requestId?: string): Promise<ApiKeyView> {
    const ended = await this.settings.database.run(async (tx) => {
      const row = await tx.findOne(ApiKeyEntity, { where: { id }, lock: { mode: 'pessimistic_write' } });
      if (row === null) throw sluiceError('SLU_ACCESS_KEY_UNKNOWN', { id });
      if (row.revokedAt !== null) return viewOf(row);
      row.revokedAt = this.clock.now();
      await tx.update(ApiKeyEntity, { id }, { revokedAt: row.revokedAt });
      await appendAudit(tx, {
        actor,
        action: 'key.revoke',
        resource: `key:${id}`,
        outcome: 'done',
        ...(requestId === undefined ? {} : { requestId }),
      });
      return viewOf(row);
    });
    await this.settings.afterChange?.(id);
    return ended;
  }

  /** All keys, the newest first. */
  async list(): Promise<ApiKeyView[]> {
    const rows = await this.settings.database.read((tx) =>
      tx.find(ApiKeyEntity, { order: { createdAt: 'DESC', id: 'ASC' } }),
    );
    return rows.map(viewOf);
  }
}

function viewOf(row: ApiKeyEntity): ApiKeyView {
  return {
    id: row.id,
    prefix: row.prefix,
    name: row.name,
    roles: row.roles as Role[],
    createdAt: row.createdAt,
    createdBy: row.createdBy,
    expiresAt: row.expiresAt,
    revokedAt: row.revokedAt,
  };
}
