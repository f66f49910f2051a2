import { copyIn, type Tx } from '#libs/store';
import type { LanguageUse, RecordBatch, RequestRecord } from './request-record.js';

const copyStatement = `COPY request_records (request_id, at, key_id, endpoint, model, version, arm, revision, status,
  error_code, rows, bytes_in, bytes_out, queue_ms, model_ms, total_ms, trace_id, outcome,
  is_streamed, prompt_tokens, completion_tokens, first_token_ms, tenant_id, project_id, subject) FROM STDIN WITH (FORMAT binary)`;

/**
 * Writes a batch once: its id and its rows commit together. When the id is there already (the answer to an earlier try
 * was lost on its way), nothing is written.
 */
export async function insertBatch(tx: Tx, batch: RecordBatch): Promise<void> {
  const claimed: unknown[] = await tx.query(
    'INSERT INTO spooled_batches (batch_id) VALUES ($1) ON CONFLICT DO NOTHING RETURNING batch_id',
    [batch.id],
  );
  if (claimed.length > 0) await copyIn(tx, copyStatement, encodeRecords(batch.records));
}

const signature = Buffer.from('PGCOPY\n\xff\r\n\0', 'latin1');
const headerBytes = signature.length + 8;
const columnCount = 25;
/** 25 lengths, the fixed columns, and what ids and times take. */
const fixedBytesPerRow = 2 + columnCount * 4 + 16 + 8 + 16 + 2 + 4 * 4 + 4 * 3 + 1 + 4 * 3 + 3 * 16;
/** No UTF-16 unit takes more than three bytes in UTF-8. */
const bytesPerUnit = 3;
const postgresEpochMs = Date.UTC(2000, 0, 1);

/** PostgreSQL's binary COPY format: https://www.postgresql.org/docs/current/sql-copy.html#id-1.9.3.55.9.4 */
export function encodeRecords(records: readonly RequestRecord[]): Buffer {
  const writer = new RowWriter(Buffer.allocUnsafe(sizeBound(records)));
  writer.header();
  for (const record of records) writer.row(record);
  return writer.end();
}

function sizeBound(records: readonly RequestRecord[]): number {
  let units = 0;
  for (const { endpoint, model, version, arm, errorCode, traceId, outcome } of records) {
    units += endpoint.length + model.length + version.length + arm.length;
    units += (errorCode?.length ?? 0) + (traceId?.length ?? 0) + (outcome?.length ?? 0);
  }
  return headerBytes + records.length * fixedBytesPerRow + units * bytesPerUnit + 2;
}

/** The same record would be refused again, however often it is tried. */
export class UnwritableRecord extends Error {
  override readonly name = 'UnwritableRecord';
}

/**
 * What records of one batch have in common (names, keys, tenants), as the bytes that stand in a row, length and all. Bounded by
 * the batch.
 */
class RepeatedFields {
  private readonly texts = new Map<string, Buffer>();
  private readonly ids = new Map<string, Buffer>();

  text(value: string): Buffer {
    let field = this.texts.get(value);
    if (field === undefined) {
      field = fieldOf(Buffer.from(value));
      this.texts.set(value, field);
    }
    return field;
  }

  id(value: string): Buffer {
    let field = this.ids.get(value);
    if (field === undefined) {
      const bytes = Buffer.from(value.replaceAll('-', ''), 'hex');
      if (bytes.length !== 16) throw new UnwritableRecord(`an id of ${value.length} characters is no UUID`);
      field = fieldOf(bytes);
      this.ids.set(value, field);
    }
    return field;
  }
}

function fieldOf(bytes: Buffer): Buffer {
  const field = Buffer.allocUnsafe(4 + bytes.length);
  field.writeInt32BE(bytes.length);
  bytes.copy(field, 4);
  return field;
}

class RowWriter {
  private at = 0;
  private readonly repeated = new RepeatedFields();

  constructor(private readonly target: Buffer) {}

  header(): void {
    this.at = signature.copy(this.target);
    this.at = this.target.writeInt32BE(0, this.at);
    this.at = this.target.writeInt32BE(0, this.at);
  }

  row(record: RequestRecord): void {
    this.at = this.target.writeInt16BE(columnCount, this.at);
    this.uuid(record.requestId);
    this.timestamp(record.atMs);
    this.repeatedId(record.keyId);
    this.repeatedText(record.endpoint);
    this.repeatedText(record.model);
    this.repeatedText(record.version);
    this.repeatedText(record.arm);
    this.integer(record.revision);
    this.smallint(record.status);
    this.repeatedText(record.errorCode);
    this.integer(record.rows);
    this.integer(record.bytesIn);
    this.integer(record.bytesOut);
    this.real(record.queueMs);
    this.real(record.modelMs);
    this.real(record.totalMs);
    this.text(record.traceId);
    this.repeatedText(record.outcome);
    this.language(record.language);
    this.repeatedId(record.tenantId);
    this.repeatedId(record.projectId);
    this.uuid(record.subject);
  }

  private language(use: LanguageUse | undefined): void {
    this.boolean(use?.isStreamed);
    this.integer(use?.promptTokens);
    this.integer(use?.completionTokens);
    this.real(use?.firstTokenMs);
  }

  end(): Buffer {
    this.at = this.target.writeInt16BE(-1, this.at);
    return this.target.subarray(0, this.at);
  }

  private length(bytes: number): void {
    this.at = this.target.writeInt32BE(bytes, this.at);
  }

  private uuid(value: string | undefined): void {
    if (value === undefined) return this.length(-1);
    this.length(16);
    const written = this.target.write(value.replaceAll('-', ''), this.at, 16, 'hex');
    // A short write would shift every later column of the batch.
    if (written !== 16) throw new UnwritableRecord(`an id of ${value.length} characters is no UUID`);
    this.at += 16;
  }

  private repeatedId(value: string | undefined): void {
    if (value === undefined) return this.length(-1);
    this.bytes(this.repeated.id(value));
  }

  private repeatedText(value: string | undefined): void {
    if (value === undefined) return this.length(-1);
    this.bytes(this.repeated.text(value));
  }

  private bytes(field: Buffer): void {
    this.target.set(field, this.at);
    this.at += field.length;
  }

  private timestamp(milliseconds: number): void {
    this.length(8);
    const microseconds = Math.round((milliseconds - postgresEpochMs) * 1_000);
    // As two halves: a big integer would be made for each row.
    const high = Math.floor(microseconds / 0x1_0000_0000);
    this.at = this.target.writeInt32BE(high, this.at);
    this.at = this.target.writeUInt32BE(microseconds - high * 0x1_0000_0000, this.at);
  }

  private text(value: string | undefined): void {
    if (value === undefined) return this.length(-1);
    const bytes = this.target.write(value, this.at + 4);
    this.length(bytes);
    this.at += bytes;
  }

  private boolean(value: boolean | undefined): void {
    if (value === undefined) return this.length(-1);
    this.length(1);
    this.at = this.target.writeInt8(value ? 1 : 0, this.at);
  }

  private integer(value: number | undefined): void {
    if (value === undefined) return this.length(-1);
    this.length(4);
    this.at = this.target.writeInt32BE(value, this.at);
  }

  private smallint(value: number): void {
    this.length(2);
    this.at = this.target.writeInt16BE(value, this.at);
  }

  private real(value: number | undefined): void {
    if (value === undefined) return this.length(-1);
    this.length(4);
    this.at = this.target.writeFloatBE(value, this.at);
  }
}
