import { systemClock, type Clock } from '#libs/kernel';
import type { Database } from '#libs/store';
import { ChainCheck, type Finding } from './chain-check.js';
import type { ChainHead } from './chain-link.js';
import type { AuditKeys } from './audit-keys.js';
import { chainParts, checkPart } from './chain-reader.js';
import type { Chainer } from './chainer.js';
import { checkpointSchema, isSigned } from './checkpoint.js';
import { readKeyChanges } from './key-register.js';
import type { CheckpointPlace } from './ports/checkpoint-place.js';
import { trustedKeys } from './trusted-keys.js';

export interface AuditVerifierSettings {
  database: Database;
  keys: AuditKeys;
  place: CheckpointPlace;
  chainer: Pick<Chainer, 'flush' | 'cutBack'>;
  vanishedRows: () => number;
  clock?: Clock;
}

/** The answer of a verification. */
export interface Verification {
  isClean: boolean;
  findings: Finding[];
  /** More was found than is listed. */
  isShortened: boolean;
  /** Position after which rows were looked at. */
  after: number;
  /** The last position; rows that were purged count. */
  count: number;
  /** Rows whose content was compared. */
  rows: number;
  checkpoints: number;
  /** Up to here a signed checkpoint vouches for the rows. */
  vouchedFor: number;
  head: string;
  verifiedAt: string;
}

/** A row that waits longer than this to be linked will not be. */
const unlinkedSeconds = 15;
const shownUnlinked = 20;
/** A page of rows in the order of their seq: none of them may be outside of every block. */
const unlinkedPage = `WITH page AS MATERIALIZED (SELECT e.seq, e.seal IS NOT NULL AS sealed, e.xid, e.at FROM audit_events e WHERE e.seq > $1 ORDER BY e.seq LIMIT 20000),
   linked AS (
     SELECT unnest(b.seqs) AS seq FROM audit_blocks b
     WHERE b.max_seq >= (SELECT min(seq) FROM page) AND b.min_seq <= (SELECT max(seq) FROM page))
   SELECT (SELECT max(seq)::text FROM page) AS last,
     (SELECT json_agg(json_build_object('seq', p.seq::text, 'sealed', p.sealed) ORDER BY p.seq) FROM page p
      WHERE NOT EXISTS (SELECT 1 FROM linked l WHERE l.seq = p.seq) AND p.xid < pg_snapshot_xmin(pg_current_snapshot())
        AND (NOT p.sealed OR p.at < now() - make_interval(secs => $2))) AS unlinked`;

/** Verifies the trail as it lies in the database, against the master key and against what the second place has seen. */
export class AuditVerifier {
  private running = new Map<number, Promise<Verification>>();
  private latest: Verification | undefined;

  constructor(private readonly settings: AuditVerifierSettings) {}

  get last(): Verification | undefined {
    return this.latest;
  }

  /** @param after position from which on to verify; a checkpoint at or before it is where it begins */
  async verify(after = 0): Promise<Verification> {
    // Reading everything once is work enough: whoever asks the same meanwhile gets the same answer.
    const running = this.running.get(after);
    if (running !== undefined) return running;
    const work = this.verifyNow(after).finally(() => this.running.delete(after));
    this.running.set(after, work);
    this.latest = await work;
    return work;
  }

  private async verifyNow(after: number): Promise<Verification> {
    const { database, keys, chainer, clock = systemClock } = this.settings;
    await chainer.flush();
    const changes = await database.read(readKeyChanges);
    const publicKeys = trustedKeys([keys.publicKey], changes);
    const from = await this.startAt(after, publicKeys);
    const check = new ChainCheck({ publicKeys, keys, from });
    await this.readCheckpoints(check);
    for await (const part of chainParts(database, from?.position ?? 0)) checkPart(check, part);
    check.end();
    await this.findUnlinked(check);
    if (chainer.cutBack !== undefined) check.find('tail-cut', null, chainer.cutBack);
    const vanished = this.settings.vanishedRows();
    if (vanished > 0) check.find('row-removed', null, `${vanished} rows vanished before they were linked`);
    return {
      isClean: check.findings.length === 0,
      findings: check.findings,
      isShortened: check.isShortened,
      after: from?.position ?? 0,
      count: check.position,
      rows: check.rows,
      checkpoints: check.checkpoints,
      vouchedFor: check.agreed,
      head: check.headHash.toString('hex'),
      verifiedAt: clock.now().toISOString(),
    };
  }

  private async startAt(after: number, publicKeys: ReadonlyMap<string, string>): Promise<ChainHead | undefined> {
    if (after === 0) return undefined;
    const rows = await this.settings.database.query<{ count: string; body: unknown }>(
      'SELECT count, body FROM audit_checkpoints WHERE count <= $1 ORDER BY count DESC, id DESC LIMIT 10',
      [after],
    );
    for (const { count, body } of rows) {
      const parsed = checkpointSchema.safeParse(body);
      // One that is filed under an earlier place than it speaks of would have rows passed over.
      if (parsed.success && parsed.data.count !== Number(count)) continue;
      const publicKey = parsed.success ? publicKeys.get(parsed.data.keyId) : undefined;
      if (parsed.success && publicKey !== undefined && isSigned(parsed.data, publicKey))
        return { position: parsed.data.count, hash: Buffer.from(parsed.data.head, 'hex') };
    }
    return undefined;
  }

  private async readCheckpoints(check: ChainCheck): Promise<void> {
    const { database, place } = this.settings;
    for await (const text of place.read()) giveCheckpoint(check, parsedJson(text), place.name);
    let id = '0';
    for (;;) {
      const page = await database.query<{ id: string; body: unknown }>(
        'SELECT id, body FROM audit_checkpoints WHERE id > $1 ORDER BY id LIMIT 500',
        [id],
      );
      for (const { body } of page) giveCheckpoint(check, body, 'the database');
      const last = page.at(-1);
      if (last === undefined) return;
      id = last.id;
    }
  }

  private async findUnlinked(check: ChainCheck): Promise<void> {
    const { database } = this.settings;
    const found: { seq: string; sealed: boolean }[] = [];
    for (let after: string | undefined = '0'; after !== undefined && found.length < shownUnlinked;) {
      const [page]: { last: string | null; unlinked: typeof found | null }[] = await database.query(unlinkedPage, [
        after,
        unlinkedSeconds,
      ]);
      found.push(...(page?.unlinked ?? []));
      after = page?.last ?? undefined;
    }
    for (const { seq, sealed } of found.slice(0, shownUnlinked)) {
      if (sealed)
        check.find('row-unlinked', null, `the event ${seq} has no place in the chain, or its seal is not valid`);
      else check.find('row-foreign', null, `the event ${seq} was not written by Sluice`);
    }
  }
}

/** What cannot be read as a checkpoint is itself something to be told. */
export function giveCheckpoint(check: ChainCheck, value: unknown, where: string): void {
  const parsed = checkpointSchema.safeParse(value);
  if (parsed.success) check.checkpoint(parsed.data);
  else check.find('checkpoint-forged', null, `${where} has something that is no checkpoint`);
}

export function parsedJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
