import { sluiceError } from '#libs/kernel';
import type { Database, Tx } from '#libs/store';
import { appendAudit } from '../audit-trail.js';
import type { DataKeys, EnvelopeBinding } from '../envelope/index.js';
import type { Redactions } from './payload-redactor.js';

/** What may be seen of a payload without reading it. */
export interface PayloadEntry {
  id: string;
  at: Date;
  requestId: string;
  endpoint: string;
  version: string;
  subject: string | null;
  redactions: Redactions;
}

export interface PayloadReading {
  id: string;
  /** Left out: of any tenant. */
  tenantId: string | undefined;
  purpose: string;
  reason: string;
  actor: string;
  requestId?: string | undefined;
}

interface PayloadRow extends PayloadEntry {
  dataKeyId: string;
  tenantId: string;
  sealed: Buffer;
}

const entryColumns = `id, at, request_id AS "requestId", endpoint, version, subject, redactions`;
const rowColumns = `${entryColumns}, data_key_id AS "dataKeyId", tenant_id AS "tenantId", sealed`;

export const payloadBinding = (id: string, subject: string | undefined): EnvelopeBinding => ({
  purpose: 'payload',
  row: id,
  subject,
});

/** The logged payloads. To read one is an act: it has a purpose and a reason, and leaves a row in the audit trail. */
export class PayloadArchive {
  constructor(
    private readonly database: Database,
    private readonly dataKeys: Pick<DataKeys, 'open'>,
  ) {}

  /** The newest of an endpoint, without what is in them. */
  list(endpoint: string, tenantId: string | undefined, limit = 100): Promise<PayloadEntry[]> {
    return this.database.query<PayloadEntry>(
      `SELECT ${entryColumns} FROM payload_records WHERE endpoint = $1 AND ($2::uuid IS NULL OR tenant_id = $2)
       ORDER BY at DESC, id DESC LIMIT $3`,
      [endpoint, tenantId ?? null, limit],
    );
  }

  /** @throws SLU_PRIVACY_PAYLOAD_UNKNOWN, SLU_PRIVACY_PAYLOAD_ERASED */
  async read(reading: PayloadReading): Promise<PayloadEntry & { content: unknown }> {
    const { id, tenantId, purpose, reason, actor, requestId } = reading;
    const read = await this.database.run(async (tx) => {
      const [row] = (await tx.query(
        `SELECT ${rowColumns} FROM payload_records WHERE id = $1 AND ($2::uuid IS NULL OR tenant_id = $2)`,
        [id, tenantId ?? null],
      )) as PayloadRow[];
      if (row === undefined) throw sluiceError('SLU_PRIVACY_PAYLOAD_UNKNOWN', { id });
      const payload = await this.opened(tx, row);
      // The row commits before anybody sees the content, whatever comes of the answer.
      await appendAudit(tx, {
        actor,
        action: 'payload.read',
        resource: `payload:${id}`,
        outcome: payload === undefined ? 'failed' : 'done',
        requestId,
        purpose,
        tenantId: row.tenantId,
        detail: { endpoint: row.endpoint, reason, ...(row.subject !== null && { subject: row.subject }) },
      });
      return payload;
    });
    if (read === undefined) throw sluiceError('SLU_PRIVACY_PAYLOAD_ERASED', { id });
    return read;
  }

  /** Everything that is held of a subject, with what is in it. Whoever asks writes the audit row. */
  async ofSubject(tx: Tx, subject: string, limit: number): Promise<(PayloadEntry & { content: unknown })[]> {
    const rows = (await tx.query(
      `SELECT ${rowColumns} FROM payload_records WHERE subject = $1 ORDER BY at, id LIMIT $2`,
      [subject, limit],
    )) as PayloadRow[];
    const found: (PayloadEntry & { content: unknown })[] = [];
    for (const row of rows) found.push((await this.opened(tx, row)) ?? { ...entryOf(row), content: null });
    return found;
  }

  private async opened(tx: Tx, row: PayloadRow): Promise<(PayloadEntry & { content: unknown }) | undefined> {
    const content = await this.dataKeys.open(tx, row, payloadBinding(row.id, row.subject ?? undefined));
    return content === undefined ? undefined : { ...entryOf(row), content: JSON.parse(content.toString('utf8')) };
  }
}

const entryOf = ({ dataKeyId: _dataKeyId, tenantId: _tenantId, sealed: _sealed, ...entry }: PayloadRow): PayloadEntry =>
  entry;
