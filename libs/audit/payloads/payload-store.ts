import type { Tx } from '#libs/store';
import type { DataKeys } from '../envelope/index.js';
import { erasedAtATime, type ErasureStore, type Processing } from '../erasure-store.js';
import type { PayloadArchive } from './payload-archive.js';

/** The subject's data key. Destroyed first: what is not deleted yet cannot be read any more, in copies neither. */
export class DataKeyStore implements ErasureStore {
  readonly name = 'data-keys';
  readonly processing: Processing = {
    holds: 'the key that seals the logged payloads of one person',
    purpose: 'to be able to erase payloads wherever a copy lies',
    legalBasis: 'GDPR Art. 25 and 32',
    retentionDays: null,
    protection: 'wrapped by a master key that never stands in the database',
  };

  constructor(private readonly dataKeys: Pick<DataKeys, 'destroy'>) {}

  async find(): Promise<unknown[]> {
    return [];
  }

  erasePortion(tx: Tx, subject: string): Promise<number> {
    return this.dataKeys.destroy(tx, subject);
  }
}

/** Logged payloads, as the subject's own data. */
export class PayloadStore implements ErasureStore {
  readonly name = 'payloads';
  readonly processing: Processing;

  constructor(
    private readonly archive: Pick<PayloadArchive, 'ofSubject'>,
    retentionDays: number,
  ) {
    this.processing = {
      holds: 'requests and answers of an endpoint, after redaction, while an operator has switched their log on',
      purpose: 'to find out why a model answers as it does',
      legalBasis:
        'GDPR Art. 6(1)(f), for the reason that stands with each log; special categories need one of Art. 9(2)',
      retentionDays,
      protection:
        'redacted, then AES-256-GCM under a data key of the person; each reading has a purpose and an audit row',
    };
  }

  find(tx: Tx, subject: string, limit: number): Promise<unknown[]> {
    return this.archive.ofSubject(tx, subject, limit);
  }

  async erasePortion(tx: Tx, subject: string, until: Date): Promise<number> {
    const result = (await tx.query(
      `DELETE FROM payload_records WHERE id IN (
         SELECT p.id FROM payload_records p JOIN data_keys k ON k.id = p.data_key_id
         WHERE p.subject = $1 AND (p.at <= $2 OR k.destroyed_at IS NOT NULL) LIMIT ${erasedAtATime})`,
      [subject, until],
    )) as [unknown[], number];
    return result[1];
  }
}
