import type { Logger } from '#libs/platform';
import { tryLock, type Database, type Tx } from '#libs/store';
import { canonicalEvent, eventColumns, type StoredEvent } from './audit-event.js';
import type { AuditKeys } from './audit-keys.js';
import { chainStart, hashOf, linkText, type ChainHead, type ChainLink } from './chain-link.js';

export interface ChainerSettings {
  database: Database;
  keys: AuditKeys;
  log: Logger;
  /** Pause between looks when nothing was found. */
  idleMs?: number;
  rowsPerBatch?: number;
  /** Ids of rows that have their place now. */
  onLinked?: (ids: readonly string[]) => void;
}

interface WaitingRow extends StoredEvent {
  xmin: string;
  seq: string | null;
  seal: Buffer | null;
  sealKey: string | null;
}

/** How far everything is linked: no transaction below it can still bring a row. Of one PostgreSQL server only. */
export interface ChainWatermark {
  xid: string;
  cluster: string;
}

const defaultIdleMs = 100;
const defaultRowsPerBatch = 1_000;
const failurePauseMs = 1_000;
const chainLock = 7_583_012;

/**
 * Links committed rows into the one chain, in batches: one writer at a time over all processes, by an advisory lock that
 * is held for a batch only. Transactions that append never wait for it.
 */
export class Chainer implements AsyncDisposable {
  private timer: NodeJS.Timeout | undefined;
  private working: Promise<unknown> = Promise.resolve();
  private isClosed = false;
  private isBusy = false;
  private mark: ChainWatermark | undefined;
  private seen: ChainHead = chainStart;
  private readonly refused = new Set<string>();
  /** Rows that do not bear a seal of Sluice, and are not linked. */
  foreignRows = 0;
  /** The chain was seen longer, or other, than it is now. */
  cutBack: string | undefined;
  waitingRows = 0;

  constructor(private readonly settings: ChainerSettings) {}

  get head(): ChainHead {
    return this.seen;
  }

  get watermark(): ChainWatermark | undefined {
    return this.mark;
  }

  start(): void {
    this.later(0);
  }

  /** Links all that is committed now. */
  async flush(): Promise<void> {
    const work = this.working.then(() => this.linkAll());
    this.working = work.catch(() => undefined);
    await work;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.isClosed = true;
    clearTimeout(this.timer);
    await this.flush().catch((err: unknown) =>
      this.settings.log.warn({ err }, 'audit rows wait to be linked until the next start'),
    );
  }

  private later(ms: number): void {
    if (this.isClosed) return;
    this.timer = setTimeout(() => {
      this.flush().then(
        () => this.later(this.settings.idleMs ?? defaultIdleMs),
        (err: unknown) => {
          if (!this.isClosed) this.settings.log.warn({ err }, 'audit rows cannot be linked now; they wait');
          this.later(failurePauseMs);
        },
      );
    }, ms);
    this.timer.unref();
  }

  private async linkAll(): Promise<void> {
    // Where rows have just come, more are to be expected, and asking first would only be one statement more.
    if (this.mark !== undefined && !this.isBusy && !(await this.hasWaiting(this.mark))) return;
    this.isBusy = false;
    while (await this.linkBatch()) this.isBusy = false;
  }

  private async hasWaiting(mark: ChainWatermark): Promise<boolean> {
    const [look] = await this.settings.database.query<{ xmin: string; waiting: boolean }>(
      `SELECT pg_snapshot_xmin(pg_current_snapshot())::text AS xmin, EXISTS (${waitingSql('1', true)}) AS waiting`,
      [mark.xid, [...this.refused]],
    );
    // Another process has linked everything: here, too, nothing below can come any more.
    if (look?.waiting === false) this.mark = { ...mark, xid: look.xmin };
    return look?.waiting === true;
  }

  /** @returns whether there may be more */
  private async linkBatch(): Promise<boolean> {
    const limit = this.settings.rowsPerBatch ?? defaultRowsPerBatch;
    const linked = await this.settings.database.run(async (tx) => {
      if (!(await tryLock(tx, chainLock))) return undefined;
      const mark = this.mark ?? (await storedWatermark(tx));
      const { head, remembered } = await headAnd(tx, this.seen.position);
      this.watchHead(head, remembered);
      const isBounded = mark.xid !== '0';
      const rows = (await tx.query(
        `SELECT pg_snapshot_xmin(s.now)::text AS xmin, w.*
         FROM (SELECT pg_current_snapshot() AS now) s LEFT JOIN LATERAL (
           ${waitingSql(`e.seq, e.seal, e.seal_key AS "sealKey", ${eventColumns}`, isBounded)}
           ORDER BY e.seq LIMIT ${limit}) w ON true`,
        [...(isBounded ? [mark.xid] : []), [...this.refused]],
      )) as WaitingRow[];
      const links = this.linksOf(head, rows, await isBeginning(tx, head, rows));
      await insertLinks(tx, links);
      return { mark, head: links.at(-1) ?? head, rows, links };
    });
    if (linked === undefined) return false;
    const { mark, head, rows, links } = linked;
    this.seen = { position: head.position, hash: head.hash };
    const isWhole = rows.length < limit;
    // Everything below was visible to this batch, and is linked.
    this.mark = isWhole && rows[0] !== undefined ? { ...mark, xid: rows[0].xmin } : mark;
    this.waitingRows = isWhole ? 0 : rows.length;
    if (links.length > 0) this.isBusy = true;
    if (links.length > 0) this.settings.onLinked?.(rows.map(({ id }) => id));
    return !isWhole;
  }

  private linksOf(head: ChainHead, rows: readonly WaitingRow[], isBeginning: boolean): ChainLink[] {
    const { keys } = this.settings;
    const links: ChainLink[] = [];
    let previous = head;
    let takesUnsealed = isBeginning;
    for (const row of rows) {
      if (row.seq === null) continue;
      const text = canonicalEvent(row);
      takesUnsealed &&= row.seal === null;
      if (!takesUnsealed && !keys.isSeal(text, row.seal, row.sealKey)) {
        this.refuse(row);
        continue;
      }
      const seq = Number(row.seq);
      const bound = linkText(previous, seq, text);
      const link = {
        position: previous.position + 1,
        seq,
        hash: hashOf(bound),
        mac: keys.mac(bound),
        keyId: keys.id,
      };
      links.push(link);
      previous = link;
    }
    return links;
  }

  private refuse(row: WaitingRow): void {
    const seq = String(row.seq);
    if (this.refused.has(seq)) return;
    this.refused.add(seq);
    this.foreignRows = this.refused.size;
    this.settings.log.error({ seq, id: row.id }, 'an audit row bears no valid seal: it was not written by Sluice');
  }

  // What this process has linked cannot be gone: a cut that came after the last checkpoint is noticed by whoever remembers.
  private watchHead(head: ChainHead, remembered: Buffer | undefined): void {
    const { position, hash } = this.seen;
    if (position > 0 && this.cutBack === undefined) {
      if (head.position < position) this.cutBack = `the chain had ${position} rows and now ends at ${head.position}`;
      else if (remembered !== undefined && !remembered.equals(hash))
        this.cutBack = `row ${position} is another one now`;
      if (this.cutBack !== undefined) this.settings.log.fatal({ problem: this.cutBack }, 'the audit chain was changed');
    }
  }
}

function waitingSql(columns: string, isBounded: boolean): string {
  const bound = isBounded ? `e.xid >= $1::xid8 AND e.xid < pg_snapshot_xmax(pg_current_snapshot()) AND` : '';
  return `SELECT ${columns} FROM audit_events e
    WHERE ${bound} e.seq <> ALL($${isBounded ? 2 : 1}::bigint[])
      AND NOT EXISTS (SELECT 1 FROM audit_links l WHERE l.event_seq = e.seq)`;
}

/** What was written before there was a chain bears no seal. It comes first, and after the first sealed row nothing like it. */
async function isBeginning(tx: Tx, head: ChainHead, rows: readonly WaitingRow[]): Promise<boolean> {
  if (head.position === 0) return true;
  if (!rows.some(({ seq, seal }) => seq !== null && seal === null)) return false;
  const [last] = (await tx.query(
    `SELECT e.seal IS NULL AS unsealed FROM audit_links l JOIN audit_events e ON e.seq = l.event_seq WHERE l.position = $1`,
    [head.position],
  )) as { unsealed: boolean }[];
  return last?.unsealed === true;
}

/** The last place that a checkpoint vouches for; the beginning for a database that came from another server. */
async function storedWatermark(tx: Tx): Promise<ChainWatermark> {
  const [row] = (await tx.query(
    `SELECT s.system_identifier::text AS cluster,
       (SELECT c.watermark::text FROM audit_checkpoints c
        WHERE c.cluster = s.system_identifier::text AND c.watermark < pg_snapshot_xmax(pg_current_snapshot())
        ORDER BY c.id DESC LIMIT 1) AS xid
     FROM pg_control_system() s`,
  )) as { cluster: string; xid: string | null }[];
  return { cluster: row?.cluster ?? '', xid: row?.xid ?? '0' };
}

/** Where the chain ends: the last row, or the tombstone that stands in the place of later ones. */
export const headOf = async (tx: Tx): Promise<ChainHead> => (await headAnd(tx, 0)).head;

async function headAnd(tx: Tx, position: number): Promise<{ head: ChainHead; remembered: Buffer | undefined }> {
  const ends = (await tx.query(
    `(SELECT position, hash, false AS remembered FROM audit_links ORDER BY position DESC LIMIT 1)
     UNION ALL (SELECT last_position, decode(body->>'lastHash', 'hex'), false FROM audit_tombstones ORDER BY last_position DESC LIMIT 1)
     UNION ALL (SELECT position, hash, true FROM audit_links WHERE position = $1)`,
    [position],
  )) as { position: string; hash: Buffer; remembered: boolean }[];
  let head = chainStart;
  for (const end of ends)
    if (!end.remembered && Number(end.position) > head.position)
      head = { position: Number(end.position), hash: end.hash };
  return { head, remembered: ends.find(({ remembered }) => remembered)?.hash };
}

// The digests as one value, and cut apart there: an array of them would travel as escaped text.
async function insertLinks(tx: Tx, links: readonly ChainLink[]): Promise<void> {
  const [first] = links;
  if (first === undefined) return;
  await tx.query(
    `INSERT INTO audit_links (position, event_seq, hash, mac, key_id)
     SELECT $1::bigint + at - 1, seq, substring($3::bytea FROM (at::int - 1) * 32 + 1 FOR 32),
       substring($4::bytea FROM (at::int - 1) * 32 + 1 FOR 32), $5
     FROM unnest($2::bigint[]) WITH ORDINALITY AS row (seq, at)`,
    [
      first.position,
      links.map(({ seq }) => seq),
      Buffer.concat(links.map(({ hash }) => hash)),
      Buffer.concat(links.map(({ mac }) => mac)),
      first.keyId,
    ],
  );
}
