import { hours, sluiceError } from '#libs/kernel';
import { isUniqueViolation, type Database, type Tx } from '#libs/store';
import { appendAudit } from '../audit-trail.js';

/** A time in which the payloads of one endpoint are logged. */
export interface PayloadWindow {
  id: string;
  endpoint: string;
  reason: string;
  openedAt: Date;
  openedBy: string;
  endsAt: Date;
  /** Payloads that were not logged, as there were too many or the database was away. */
  dropped: number;
}

export interface WindowRequest {
  endpoint: string;
  seconds: number;
  reason: string;
  actor: string;
  requestId?: string | undefined;
}

export const longestWindowSeconds = hours(24);

const columns = `id, endpoint, reason, opened_at AS "openedAt", opened_by AS "openedBy", ends_at AS "endsAt",
  dropped::float8 AS dropped`;
/** By the database's clock alone: no process decides how late it is. */
const isOpen = 'closed_at IS NULL AND ends_at > now()';

/** Opens and closes windows. Each ends by itself; none lasts for more than a day. */
export class PayloadWindows {
  constructor(private readonly database: Database) {}

  /** @throws SLU_ENDPOINT_UNKNOWN, SLU_PRIVACY_LOG_OPEN */
  async open({ endpoint, seconds, reason, actor, requestId }: WindowRequest): Promise<PayloadWindow> {
    try {
      return await this.database.run(async (tx) => {
        await refuseUnknown(tx, endpoint);
        // What has ended by itself makes room.
        await tx.query(
          `UPDATE payload_windows SET closed_at = ends_at, closed_by = 'system'
           WHERE endpoint = $1 AND closed_at IS NULL AND ends_at <= now()`,
          [endpoint],
        );
        const [window] = (await tx.query(
          `INSERT INTO payload_windows (endpoint, reason, opened_by, ends_at)
           VALUES ($1, $2, $3, now() + interval '1 second' * $4) RETURNING ${columns}`,
          [endpoint, reason, actor, seconds],
        )) as PayloadWindow[];
        const detail = { windowId: window!.id, reason, endsAt: window!.endsAt.toISOString() };
        await this.tell(tx, 'payload-log.open', endpoint, actor, requestId, detail);
        return window!;
      });
    } catch (cause) {
      if (!isUniqueViolation(cause, 'payload_windows_open')) throw cause;
      const open = await this.find(endpoint);
      throw sluiceError('SLU_PRIVACY_LOG_OPEN', { endpoint, endsAt: open?.endsAt.toISOString() ?? '?' }, { cause });
    }
  }

  /** @throws SLU_PRIVACY_LOG_CLOSED */
  async close(endpoint: string, actor: string, requestId?: string): Promise<PayloadWindow> {
    return this.database.run(async (tx) => {
      const [open] = (await tx.query(
        `SELECT ${columns} FROM payload_windows WHERE endpoint = $1 AND ${isOpen} FOR UPDATE`,
        [endpoint],
      )) as PayloadWindow[];
      if (open === undefined) throw sluiceError('SLU_PRIVACY_LOG_CLOSED', { endpoint });
      await tx.query('UPDATE payload_windows SET closed_at = now(), closed_by = $2 WHERE id = $1', [open.id, actor]);
      await this.tell(tx, 'payload-log.close', endpoint, actor, requestId, { windowId: open.id });
      return open;
    });
  }

  /** The window that is open now. */
  async find(endpoint: string): Promise<PayloadWindow | undefined> {
    const [open] = await this.database.query<PayloadWindow>(
      `SELECT ${columns} FROM payload_windows WHERE endpoint = $1 AND ${isOpen}`,
      [endpoint],
    );
    return open;
  }

  /** @returns how much longer each endpoint's payloads are logged, in milliseconds */
  async remaining(): Promise<ReadonlyMap<string, number>> {
    const rows = await this.database.query<{ endpoint: string; leftMs: number }>(
      `SELECT endpoint, (extract(epoch FROM ends_at - now()) * 1000)::float8 AS "leftMs" FROM payload_windows WHERE ${isOpen}`,
    );
    return new Map(rows.map(({ endpoint, leftMs }) => [endpoint, leftMs]));
  }

  private tell(
    tx: Tx,
    action: string,
    endpoint: string,
    actor: string,
    requestId: string | undefined,
    detail: Readonly<Record<string, string>>,
  ): Promise<void> {
    return appendAudit(tx, { actor, action, resource: `endpoint:${endpoint}`, outcome: 'done', requestId, detail });
  }
}

async function refuseUnknown(tx: Tx, endpoint: string): Promise<void> {
  const found = (await tx.query('SELECT 1 FROM endpoints WHERE name = $1', [endpoint])) as unknown[];
  if (found.length === 0) throw sluiceError('SLU_ENDPOINT_UNKNOWN', { endpoint });
}
