import type { Database, Tx } from '#libs/store';
import { randomBytes, randomUUID } from 'node:crypto';
import { envelopeKeyBytes, openContent, sealContent, type EnvelopeBinding } from './envelope-cipher.js';
import type { MasterKeys } from './master-keys.js';

export interface SealedContent {
  dataKeyId: string;
  sealed: Buffer;
}

interface DataKeyRow {
  id: string;
  subject: string | null;
  wrapped: Buffer | null;
  masterKeyId: string;
}

const rewrappedAtATime = 500;
const columns = `id, subject, wrapped, master_key_id AS "masterKeyId"`;
const wrapBinding = (id: string, subject: string | null): EnvelopeBinding => ({
  purpose: 'data-key',
  row: id,
  subject: subject ?? undefined,
});

/**
 * Envelope encryption: each subject has a data key, each data key is kept wrapped by a master key, and master keys never
 * touch the database. To destroy a data key is to erase everything that was sealed with it, wherever a copy lies.
 */
export class DataKeys {
  constructor(
    private readonly database: Database,
    private readonly masters: MasterKeys,
  ) {}

  /** Seals with the subject's data key, made when it has none; without a subject with a data key of this content alone. */
  async seal(tx: Tx, content: Buffer, binding: EnvelopeBinding): Promise<SealedContent> {
    const row = binding.subject === undefined ? await this.make(tx, null) : await this.ofSubject(tx, binding.subject);
    return { dataKeyId: row.id, sealed: sealContent(this.unwrap(row)!, content, binding) };
  }

  /** @returns undefined when the data key is destroyed or unreadable, or the content is not what was sealed for this binding */
  async open(tx: Tx, { dataKeyId, sealed }: SealedContent, binding: EnvelopeBinding): Promise<Buffer | undefined> {
    const [row] = (await tx.query(`SELECT ${columns} FROM data_keys WHERE id = $1`, [dataKeyId])) as DataKeyRow[];
    const key = row === undefined ? undefined : this.unwrap(row);
    return key === undefined ? undefined : openContent(key, sealed, binding);
  }

  /** Destroys the subject's data key for good. @returns how many there were: 0 when it is done already */
  async destroy(tx: Tx, subject: string): Promise<number> {
    // Whoever is about to seal with the key holds its row until the content is written.
    const result = (await tx.query(
      `UPDATE data_keys SET wrapped = NULL, destroyed_at = now() WHERE subject = $1 AND destroyed_at IS NULL`,
      [subject],
    )) as [unknown[], number];
    return result[1];
  }

  /** Wraps with the current master key what hangs on an earlier one. No content is written anew. @returns what it came to */
  async rewrap(): Promise<{ rewrapped: number; unreadable: number }> {
    const done = { rewrapped: 0, unreadable: 0 };
    let after = '00000000-0000-0000-0000-000000000000';
    for (;;) {
      const rows = await this.database.run((tx) => this.rewrapPortion(tx, after, done));
      const last = rows.at(-1);
      if (last === undefined) return done;
      after = last.id;
    }
  }

  private async rewrapPortion(
    tx: Tx,
    after: string,
    done: { rewrapped: number; unreadable: number },
  ): Promise<DataKeyRow[]> {
    const rows = (await tx.query(
      `SELECT ${columns} FROM data_keys WHERE master_key_id <> $1 AND destroyed_at IS NULL AND id > $2
       ORDER BY id LIMIT ${rewrappedAtATime} FOR UPDATE`,
      [this.masters.current.id, after],
    )) as DataKeyRow[];
    for (const row of rows) {
      const key = this.unwrap(row);
      if (key === undefined) {
        done.unreadable += 1;
        continue;
      }
      await tx.query('UPDATE data_keys SET wrapped = $2, master_key_id = $3 WHERE id = $1', [
        row.id,
        this.wrap(row.id, row.subject, key),
        this.masters.current.id,
      ]);
      done.rewrapped += 1;
    }
    return rows;
  }

  private async ofSubject(tx: Tx, subject: string): Promise<DataKeyRow> {
    for (;;) {
      const [known] = (await tx.query(
        `SELECT ${columns} FROM data_keys WHERE subject = $1 AND destroyed_at IS NULL FOR SHARE`,
        [subject],
      )) as DataKeyRow[];
      if (known !== undefined) return this.readable(known);
      // Another process may make the same one at this moment: then the next look finds that.
      const made = await this.make(tx, subject);
      if (made.wrapped !== null) return made;
    }
  }

  private async make(tx: Tx, subject: string | null): Promise<DataKeyRow> {
    const id = randomUUID();
    const wrapped = this.wrap(id, subject, randomBytes(envelopeKeyBytes));
    const inserted = (await tx.query(
      `INSERT INTO data_keys (id, subject, wrapped, master_key_id) VALUES ($1, $2, $3, $4)
       ON CONFLICT (subject) WHERE destroyed_at IS NULL DO NOTHING RETURNING id`,
      [id, subject, wrapped, this.masters.current.id],
    )) as unknown[];
    return { id, subject, wrapped: inserted.length === 0 ? null : wrapped, masterKeyId: this.masters.current.id };
  }

  private readable(row: DataKeyRow): DataKeyRow {
    if (this.unwrap(row) === undefined) throw new Error(`data key ${row.id} cannot be read: no master key fits`);
    return row;
  }

  private wrap(id: string, subject: string | null, key: Buffer): Buffer {
    return sealContent(this.masters.current.secret, key, wrapBinding(id, subject));
  }

  private unwrap({ id, subject, wrapped, masterKeyId }: DataKeyRow): Buffer | undefined {
    const master = this.masters.find(masterKeyId);
    if (master === undefined || wrapped === null) return undefined;
    return openContent(master.secret, wrapped, wrapBinding(id, subject));
  }
}
