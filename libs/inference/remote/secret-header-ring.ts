import type { SecretSeal } from '#libs/access';
import type { Logger } from '#libs/platform';
import type { Change, ChangeFeedListener, Database } from '#libs/store';
import { versionKey } from '../routes/route-table.js';
import { sealPurpose } from './secret-headers.js';

/** Values by header name, as far as they are set and can be opened here. */
export interface SecretHeaderSource {
  valuesOf(model: string, version: string): ReadonlyMap<string, string>;
}

interface SealedRow {
  model: string;
  version: string;
  name: string;
  keyId: string;
  sealed: Buffer;
}

const retryMs = 500;
const nothing: ReadonlyMap<string, string> = new Map();
const select = 'SELECT model, version, name, key_id AS "keyId", sealed FROM secret_headers';

/**
 * All secret headers in memory, opened, as PostgreSQL has them: it follows the change feed, and calls to other servers go
 * on with the last known ones while PostgreSQL is away.
 */
export class SecretHeaderRing implements SecretHeaderSource, ChangeFeedListener, AsyncDisposable {
  private values = new Map<string, ReadonlyMap<string, string>>();
  private reading: Promise<void> | undefined;
  private isDue = false;
  private isClosed = false;
  private retryTimer: NodeJS.Timeout | undefined;

  constructor(private readonly settings: { database: Database; seal: SecretSeal; log: Pick<Logger, 'warn'> }) {}

  valuesOf(model: string, version: string): ReadonlyMap<string, string> {
    return this.values.get(versionKey(model, version)) ?? nothing;
  }

  /** Reads all. When PostgreSQL is away it returns without, and goes on trying. */
  async load(): Promise<void> {
    this.readSoon();
    await this.reading;
  }

  onChange({ table }: Change): void {
    // They are few and change seldom, so one way of reading them is enough.
    if (table === 'secret_headers') this.readSoon();
  }

  onConnected(): void {
    this.readSoon();
  }

  onLost(): void {
    // The last known ones stay; the feed tells when it is back.
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.isClosed = true;
    clearTimeout(this.retryTimer);
    await this.reading;
    this.values.clear();
  }

  private readSoon(): void {
    this.isDue = true;
    if (this.isClosed || this.reading !== undefined) return;
    clearTimeout(this.retryTimer);
    this.reading = this.readDue().finally(() => (this.reading = undefined));
  }

  private async readDue(): Promise<void> {
    const { database, log } = this.settings;
    while (this.isDue && !this.isClosed) {
      this.isDue = false;
      try {
        this.values = this.opened(await database.query<SealedRow>(select));
      } catch (err) {
        log.warn({ err }, 'secret headers cannot be read; those known stay in use');
        if (!this.isClosed) this.retryTimer = setTimeout(() => this.readSoon(), retryMs).unref();
        return;
      }
    }
  }

  private opened(rows: readonly SealedRow[]): Map<string, ReadonlyMap<string, string>> {
    const byVersion = new Map<string, Map<string, string>>();
    for (const { model, version, name, keyId, sealed } of rows) {
      const value = this.settings.seal.open({ keyId, sealed }, sealPurpose(model, version, name));
      if (value === undefined) {
        this.settings.log.warn({ model, version, name, keyId }, 'a secret header cannot be opened: set it again');
        continue;
      }
      const key = versionKey(model, version);
      byVersion.set(key, (byVersion.get(key) ?? new Map<string, string>()).set(name, value));
    }
    return byVersion;
  }
}
