import { addSeconds, minutes, sluiceError, systemClock, type Clock } from '#libs/kernel';
import type { Change, ChangeFeedListener, Database } from '#libs/store';
import { heldKeyOf, selectKeys, selectKeysOf, type HeldKey, type KeyRow } from './held-key.js';
import { isKeyShaped, type Pepper } from './key-secret.js';
import type { Principal } from './principal.js';

export interface KeyRingSettings {
  database: Pick<Database, 'query'>;
  pepper: Pepper;
  clock?: Clock;
  /** How long keys stay good while the database is away and a revocation could not be heard of. */
  graceSeconds?: number;
  /** Told when keys cannot be read; the ring tries again by itself. */
  onProblem?: (problem: unknown) => void;
}

const knownHeadersLimit = 20_000;
const retryMs = 250;
/** A change of one of these may change what keys open. */
const keyTables: readonly Change['table'][] = ['api_keys', 'tenants', 'projects', 'people', 'service_accounts'];

/**
 * All live keys, in memory, as Postgres has them: it follows the change feed, so a revocation counts within
 * milliseconds, and `authenticate` never waits for anything.
 */
export class KeyRing implements ChangeFeedListener, Disposable {
  private byId = new Map<string, HeldKey>();
  private byDigest = new Map<string, HeldKey>();
  // Headers that were found good, so that the digest is computed once per key and not once per request.
  private knownHeaders = new Map<string, HeldKey>();
  private changedIds = new Set<string>();
  private isWholeReadDue = false;
  private reading: Promise<void> | undefined;
  private retryTimer: NodeJS.Timeout | undefined;
  private goodUntil: Date | undefined;
  private isClosed = false;
  private readonly clock: Clock;

  constructor(private readonly settings: KeyRingSettings) {
    this.clock = settings.clock ?? systemClock;
  }

  /** Reads all keys. Until this has been done once, nobody gets in. */
  async load(): Promise<void> {
    this.replaceAll(await this.settings.database.query<KeyRow>(`${selectKeys} WHERE k.revoked_at IS NULL`));
  }

  /**
   * @param header the value of `Authorization`
   * @throws SLU_ACCESS_KEY_MISSING, SLU_ACCESS_KEY_INVALID, SLU_PLATFORM_DATABASE_DOWN when the grace has run out
   */
  authenticate(header: string | undefined): Principal {
    if (header === undefined || header === '') throw sluiceError('SLU_ACCESS_KEY_MISSING');
    if (this.goodUntil !== undefined && this.clock.now() > this.goodUntil) {
      throw sluiceError('SLU_PLATFORM_DATABASE_DOWN', {}, { retryAfterSeconds: 5 });
    }
    const held = this.knownHeaders.get(header) ?? this.lookUp(header);
    if (held === undefined || held.isRevoked || this.isExpired(held)) throw sluiceError('SLU_ACCESS_KEY_INVALID');
    held.isUsed = true;
    return held.principal;
  }

  /** @returns the ids of the keys that were used since this was last asked */
  takeUsed(): string[] {
    const used = [...this.byId.values()].filter(({ isUsed }) => isUsed);
    for (const held of used) held.isUsed = false;
    return used.map(({ principal }) => principal.id);
  }

  onChange(change: Change): void {
    if (!keyTables.includes(change.table)) return;
    this.changedIds.add(change.key);
    this.readSoon();
  }

  /** Reads one key anew, or the keys of one tenant, project or owner. Resolves when it has been read, or when that has failed and is tried again later. */
  async refresh(id: string): Promise<void> {
    this.changedIds.add(id);
    this.readSoon();
    await this.settled();
  }

  onConnected(): void {
    this.isWholeReadDue = true;
    this.readSoon();
  }

  onLost(): void {
    this.goodUntil ??= addSeconds(this.clock.now(), this.settings.graceSeconds ?? minutes(15));
  }

  /** Resolves when every change heard of so far has been read. */
  async settled(): Promise<void> {
    while (this.reading !== undefined) await this.reading;
  }

  [Symbol.dispose](): void {
    this.isClosed = true;
    clearTimeout(this.retryTimer);
  }

  private lookUp(header: string): HeldKey | undefined {
    const key = bearerToken(header);
    if (key === undefined || !isKeyShaped(key)) return undefined;
    const held = this.byDigest.get(this.settings.pepper.digestOf(key).toString('base64'));
    if (held === undefined || this.isExpired(held)) return undefined;
    // Only good headers are kept, and a bounded number of them: nobody can fill the memory with bad ones.
    if (this.knownHeaders.size >= knownHeadersLimit) this.forgetOldestHeader();
    this.knownHeaders.set(header, held);
    return held;
  }

  private forgetOldestHeader(): void {
    for (const oldest of this.knownHeaders.keys()) {
      this.knownHeaders.delete(oldest);
      return;
    }
  }

  private noteUse(id: string): void {
    const held = this.byId.get(id);
    if (held !== undefined) held.isUsed = true;
  }

  private isExpired(held: HeldKey): boolean {
    return held.expiresAtMs !== undefined && this.clock.now().getTime() >= held.expiresAtMs;
  }

  private readSoon(): void {
    if (this.isClosed || this.reading !== undefined) return;
    clearTimeout(this.retryTimer);
    this.reading = this.readChanges().then(
      () => this.afterReading(undefined),
      (problem: unknown) => this.afterReading(problem),
    );
  }

  private afterReading(problem: unknown): void {
    this.reading = undefined;
    if (this.isClosed) return;
    if (problem !== undefined) {
      this.settings.onProblem?.(problem);
      this.isWholeReadDue = true;
      this.retryTimer = setTimeout(() => this.readSoon(), retryMs);
    } else if (this.isWholeReadDue || this.changedIds.size > 0) {
      this.readSoon();
    }
  }

  private async readChanges(): Promise<void> {
    if (this.isWholeReadDue) {
      this.isWholeReadDue = false;
      this.changedIds.clear();
      await this.load();
      this.goodUntil = undefined;
      return;
    }
    const ids = [...this.changedIds];
    this.changedIds.clear();
    const rows = await this.settings.database.query<KeyRow>(selectKeysOf, [ids]);
    for (const row of rows) this.put(row);
  }

  private replaceAll(rows: KeyRow[]): void {
    const used = new Set(this.takeUsed());
    this.byId = new Map();
    this.byDigest = new Map();
    this.knownHeaders = new Map();
    for (const row of rows) this.put(row);
    for (const id of used) this.noteUse(id);
  }

  private put(row: KeyRow): void {
    const earlier = this.byId.get(row.id);
    if (earlier !== undefined) {
      earlier.isRevoked = true;
      this.byDigest.delete(earlier.digest);
      this.byId.delete(row.id);
      for (const [header, held] of this.knownHeaders) if (held === earlier) this.knownHeaders.delete(header);
    }
    const held = heldKeyOf(row);
    if (held === undefined) return;
    held.isUsed = earlier?.isUsed === true;
    this.byId.set(row.id, held);
    this.byDigest.set(held.digest, held);
  }
}

function bearerToken(header: string): string | undefined {
  return /^Bearer +(\S+)$/i.exec(header)?.[1];
}
