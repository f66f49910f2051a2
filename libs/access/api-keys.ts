import { randomUUID } from 'node:crypto';
import { appendAudit } from '#libs/audit';
import { addSeconds, sluiceError, systemClock, type Clock } from '#libs/kernel';
import { ApiKeyEntity, readPage, type Database, type Page, type PageWish, type Tx } from '#libs/store';
import { keyView, selectKeyViews, type ApiKeyView } from './api-key-view.js';
import { isUuid, type ChangedBy } from './directory/directory.js';
import { keyOwnerIn, type KeyOwner, type OwnerWish } from './directory/key-owner.js';
import { plainNetworksIn } from './key-networks.js';
import { newKey, prefixOf, type Pepper } from './key-secret.js';
import { refuseRotation } from './key-rotation.js';
import { actorOf, defaultProjectId, defaultTenantId, type Principal, type Role } from './principal.js';
import { isWithin, requireReach, whereWithin, type Reach } from './reach.js';

export interface KeyBounds {
  expiresAt?: Date | undefined;
  /** Left out: that of the tenant. */
  tier?: string | undefined;
  /** The only endpoints that the key may know of. */
  endpoints?: readonly string[] | undefined;
  /** The only networks that it may be used from. */
  networks?: readonly string[] | undefined;
}

export interface NewApiKey extends KeyBounds, ChangedBy {
  name: string;
  roles: readonly Role[];
}

export interface KeyRotation {
  /** For how long the earlier key stays good beside the new one. */
  overlapSeconds: number;
  requestId?: string | undefined;
}

export interface ApiKeysSettings {
  database: Database;
  pepper: Pepper;
  clock?: Clock;
  /** Called after each change and awaited, so that whoever was answered can use, or no longer use, the key here at once. */
  afterChange?: (id: string) => Promise<void>;
}

const platformOwner: KeyOwner = {
  tenantId: defaultTenantId,
  projectId: defaultProjectId,
  personId: null,
  serviceAccountId: null,
};

/** The keys as stored. Each change and its audit row commit together. */
export class ApiKeys {
  private readonly clock: Clock;

  constructor(private readonly settings: ApiKeysSettings) {
    this.clock = settings.clock ?? systemClock;
  }

  /** A key of the platform itself. @returns the key, for the only time. */
  async create(wish: NewApiKey): Promise<ApiKeyView & { key: string }> {
    return this.run((tx) => this.createIn(tx, wish));
  }

  /** A key for an owner within the caller's reach. @throws SLU_REQUEST_INVALID, SLU_ACCESS_FORBIDDEN */
  async createFor(principal: Principal, wish: NewApiKey, owner: OwnerWish): Promise<ApiKeyView & { key: string }> {
    const reach = requireReach(principal, 'key.write');
    // Tiers are what tenants pay for.
    if (wish.tier !== undefined && reach.scope !== 'all')
      throw sluiceError('SLU_REQUEST_INVALID', { field: 'tier', problem: 'is that of the tenant: leave it out' });
    return this.run(async (tx) => this.createIn(tx, wish, await keyOwnerIn(tx, reach, principal.tenantId, owner)));
  }

  async createIn(tx: Tx, wish: NewApiKey, owner = platformOwner): Promise<ApiKeyView & { key: string }> {
    return this.insertIn(tx, wish, owner, null);
  }

  /** Makes a key that is as the earlier one, which ends after the overlap. @throws SLU_ACCESS_KEY_UNKNOWN, SLU_ACCESS_KEY_ENDED */
  async rotate(principal: Principal, id: string, rotation: KeyRotation): Promise<ApiKeyView & { key: string }> {
    const made = await this.run(async (tx) => {
      const row = await lockedIn(tx, requireReach(principal, 'key.rotate'), id);
      await refuseRotation(tx, principal, row, this.clock.now());
      const by = { actor: actorOf(principal), requestId: rotation.requestId };
      const end = addSeconds(this.clock.now(), rotation.overlapSeconds);
      const { name, roles, tier, endpoints, networks, expiresAt } = row;
      const bounds = { tier, endpoints, networks, expiresAt };
      const created = await this.insertIn(
        tx,
        { name, roles: roles as Role[], ...withoutNulls(bounds), ...by },
        row,
        row.id,
      );
      const ends = row.expiresAt !== null && row.expiresAt < end ? row.expiresAt : end;
      await tx.update(
        ApiKeyEntity,
        { id: row.id },
        rotation.overlapSeconds === 0 ? { revokedAt: this.clock.now() } : { expiresAt: ends },
      );
      const detail = { replacedBy: created.id, overlapSeconds: rotation.overlapSeconds };
      await note(tx, 'key.rotate', row, by, detail);
      return created;
    });
    await this.settings.afterChange?.(id);
    return made;
  }

  /** Ends a key for good; a second revocation changes nothing. @throws SLU_ACCESS_KEY_UNKNOWN */
  async revoke(id: string, actor: string, requestId?: string, reach: Reach = { scope: 'all' }): Promise<ApiKeyView> {
    const ended = await this.settings.database.run(async (tx) => {
      const row = await lockedIn(tx, reach, id);
      if (row.revokedAt !== null) return keyView(row);
      row.revokedAt = this.clock.now();
      await tx.update(ApiKeyEntity, { id }, { revokedAt: row.revokedAt });
      await note(tx, 'key.revoke', row, { actor, requestId }, {});
      return keyView(row);
    });
    await this.settings.afterChange?.(id);
    return ended;
  }

  /** The keys within reach, the newest first. @throws SLU_REQUEST_INVALID for a cursor that is none */
  async list(reach: Reach, page: PageWish): Promise<Page<ApiKeyView>> {
    const parameters: unknown[] = [];
    const columns = { tenantId: 'tenant_id', projectId: 'project_id', personId: 'person_id', keyId: 'id' };
    const where = whereWithin(reach, columns, parameters);
    return readPage(this.settings.database, { select: selectKeyViews, where, parameters }, page);
  }

  private async run<View extends { id: string }>(work: (tx: Tx) => Promise<View>): Promise<View> {
    const made = await this.settings.database.run(work);
    await this.settings.afterChange?.(made.id);
    return made;
  }

  private async insertIn(
    tx: Tx,
    wish: NewApiKey,
    { tenantId, projectId, personId, serviceAccountId }: KeyOwner,
    replaces: string | null,
  ): Promise<ApiKeyView & { key: string }> {
    const key = newKey();
    const row = tx.create(ApiKeyEntity, {
      id: randomUUID(),
      prefix: prefixOf(key),
      name: wish.name,
      roles: [...wish.roles],
      tenantId,
      projectId,
      personId,
      serviceAccountId,
      replaces,
      tier: wish.tier ?? null,
      endpoints: wish.endpoints === undefined ? null : [...wish.endpoints],
      networks: wish.networks === undefined ? null : await plainNetworksIn(tx, wish.networks),
      digest: this.settings.pepper.digestOf(key),
      createdAt: this.clock.now(),
      createdBy: wish.actor,
      expiresAt: wish.expiresAt ?? null,
      revokedAt: null,
      lastUsedAt: null,
    });
    await tx.insert(ApiKeyEntity, row);
    const { name, expiresAt } = wish;
    const roles = wish.roles.join(' ');
    const detail = { roles, name, tenantId, projectId, personId, expiresAt: expiresAt?.toISOString() ?? null };
    await note(tx, 'key.create', row, wish, detail);
    return { ...keyView(row), key };
  }
}

async function lockedIn(tx: Tx, reach: Reach, id: string): Promise<ApiKeyEntity> {
  const row = isUuid(id)
    ? await tx.findOne(ApiKeyEntity, { where: { id }, lock: { mode: 'pessimistic_write' } })
    : null;
  if (row === null || !isWithin(reach, { ...row, keyId: row.id }))
    throw sluiceError('SLU_ACCESS_KEY_UNKNOWN', { id: id.slice(0, 40) });
  return row;
}

async function note(
  tx: Tx,
  action: string,
  { id, tenantId }: Pick<ApiKeyEntity, 'id' | 'tenantId'>,
  { actor, requestId }: ChangedBy,
  detail: Record<string, string | number | null>,
): Promise<void> {
  await appendAudit(tx, { actor, action, resource: `key:${id}`, outcome: 'done', requestId, tenantId, detail });
}

type WithoutNulls<T> = { [Member in keyof T]?: Exclude<T[Member], null> };
const withoutNulls = <T extends object>(members: T): WithoutNulls<T> =>
  Object.fromEntries(Object.entries(members).filter(([, value]) => value !== null)) as WithoutNulls<T>;
