import pg from 'pg';
import { messageOf } from '#libs/kernel';

/** One committed change: which table, and the key of the row (`model/version`, a name, or an id). */
export interface Change {
  table:
    | 'model_versions'
    | 'endpoints'
    | 'replica_sets'
    | 'replicas'
    | 'rollouts'
    | 'api_keys'
    | 'limit_overrides'
    | 'quarantined_inputs'
    | 'payload_windows'
    | 'secret_headers'
    | 'tiers'
    | 'tenants'
    | 'projects'
    | 'people'
    | 'service_accounts'
    | 'prices'
    | 'budgets';
  key: string;
}

export interface ChangeFeedListener {
  onChange(change: Change): void;
  /** The feed is (again) connected: changes may have been missed, so everything is to be read anew. */
  onConnected(): void;
  onLost(reason: string): void;
}

const firstRetryMs = 100;
const longestRetryMs = 2_000;
const defaultHeartbeatMs = 5_000;

/** Follows PostgreSQL's LISTEN/NOTIFY on `sluice_changed`, and connects again for as long as it lives. */
export class ChangeFeed implements AsyncDisposable {
  private client: pg.Client | undefined;
  private retryTimer: NodeJS.Timeout | undefined;
  private heartbeat: NodeJS.Timeout | undefined;
  private retryMs = firstRetryMs;
  private isClosed = false;

  constructor(
    private readonly url: string,
    private readonly applicationName: string,
    private readonly listener: ChangeFeedListener,
    private readonly heartbeatMs = defaultHeartbeatMs,
  ) {}

  /** Connects once; when that fails it goes on trying by itself. */
  async start(): Promise<void> {
    await this.connect();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.isClosed = true;
    clearTimeout(this.retryTimer);
    clearTimeout(this.heartbeat);
    const client = this.client;
    this.client = undefined;
    client?.removeAllListeners();
    client?.on('error', () => undefined);
    await client?.end().catch(() => undefined);
  }

  private async connect(): Promise<void> {
    const client = new pg.Client({
      connectionString: this.url,
      application_name: this.applicationName,
      keepAlive: true,
      connectionTimeoutMillis: 3_000,
    });
    const lost = (reason: string): void => this.reconnect(client, reason);
    client.on('error', (error) => lost(error.message));
    client.on('end', () => lost('the connection ended'));
    client.on('notification', ({ payload }) => {
      const change = changeOf(payload);
      if (change !== undefined) this.listener.onChange(change);
    });
    this.client = client;
    try {
      await client.connect();
      await client.query('LISTEN sluice_changed');
    } catch (error) {
      lost(messageOf(error));
      return;
    }
    if (this.client !== client) return;
    this.retryMs = firstRetryMs;
    this.listener.onConnected();
    this.askLater(client);
  }

  // A connection that died without a word (a pulled cable, a dropped NAT entry) looks alive for hours, and a revoked key
  // would stay good for as long.
  private askLater(client: pg.Client): void {
    this.heartbeat = setTimeout(() => {
      const silence = setTimeout(() => this.reconnect(client, 'the server does not answer any more'), this.heartbeatMs);
      client.query('SELECT 1').then(
        () => {
          clearTimeout(silence);
          if (this.client === client && !this.isClosed) this.askLater(client);
        },
        // What ended the connection has been told already.
        () => clearTimeout(silence),
      );
    }, this.heartbeatMs);
    this.heartbeat.unref();
  }

  private reconnect(from: pg.Client, reason: string): void {
    if (this.isClosed || this.client !== from) return;
    this.client = undefined;
    clearTimeout(this.heartbeat);
    void from.end().catch(() => undefined);
    this.listener.onLost(reason);
    this.retryTimer = setTimeout(() => void this.connect(), this.retryMs);
    this.retryMs = Math.min(longestRetryMs, this.retryMs * 2);
  }
}

/** Anybody who may use the database may notify; what is no change of ours is nothing to us. */
function changeOf(payload: string | undefined): Change | undefined {
  try {
    const parsed = JSON.parse(payload ?? '') as Partial<Change> | null;
    return typeof parsed?.table === 'string' && typeof parsed.key === 'string' ? (parsed as Change) : undefined;
  } catch {
    return undefined;
  }
}
