import { erasedAtATime, type ErasureStore, type Processing } from '#libs/audit';
import { secondsToMs } from '#libs/kernel';
import type { Tx } from '#libs/store';
import { requestColumns } from './request-archive.js';

/** Request records, as far as a request named whom it is about. */
export class RequestRecordStore implements ErasureStore {
  readonly name = 'request-records';
  readonly processing: Processing;

  constructor(retentionSeconds: number) {
    this.processing = {
      holds:
        'who called which endpoint when, sizes, tokens, times and the outcome; of the person a pseudonym, and no payload',
      purpose: 'to operate the service, to account for its use and to look into incidents',
      legalBasis: 'GDPR Art. 6(1)(f)',
      retentionDays: retentionSeconds / secondsPerDay,
      protection: 'pseudonyms by HMAC-SHA-256 under a key that is not in the database',
    };
  }

  find(tx: Tx, subject: string, limit: number): Promise<unknown[]> {
    return tx.query(
      `SELECT ${requestColumns} FROM request_records WHERE subject = $1 ORDER BY at, request_id LIMIT $2`,
      [subject, limit],
    ) as Promise<unknown[]>;
  }

  async erasePortion(tx: Tx, subject: string, until: Date): Promise<number> {
    // An arrival is measured by the API's clock and `until` by the database's.
    const slackUntil = new Date(until.getTime() + secondsToMs(clockSlackSeconds));
    const result = (await tx.query(
      `DELETE FROM request_records r USING (
         SELECT tableoid AS place, ctid AS row FROM request_records WHERE subject = $1 AND at <= $2 LIMIT ${erasedAtATime}
       ) AS portion WHERE r.tableoid = portion.place AND r.ctid = portion.row AND r.subject = $1`,
      [subject, slackUntil],
    )) as [unknown[], number];
    return result[1];
  }
}

const secondsPerDay = 86_400;
const clockSlackSeconds = 5;

/** The response cache, which keeps nothing of a request that names a person. */
export class ResponseCacheStore implements ErasureStore {
  readonly name = 'response-cache';
  readonly processing: Processing = {
    holds: 'answers in memory, of requests that name no person',
    purpose: 'to answer equal requests at once',
    legalBasis: 'none needed: what names a person is not stored',
    retentionDays: null,
    protection: 'apart by key; in the memory of one process',
  };

  async find(): Promise<unknown[]> {
    return [];
  }

  async erasePortion(): Promise<number> {
    return 0;
  }
}
