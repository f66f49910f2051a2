import type { Logger } from '#libs/platform';
import { tryLock, type Database, type Tx } from '#libs/store';
import { canonicalEvent } from './audit-event.js';
import type { AuditKeys } from './audit-keys.js';
import { chainEnd, insertBlock, type ChainBlock, type ChainEnd, type SeenSnapshot } from './chain-block.js';
import { boundText, chainStart, hexHashOf, type ChainHead } from './chain-link.js';
import { RecentRows } from './recent-rows.js';
import {
  clusterOf,
  hasWaiting,
  waitingPage,
  wholeRows,
  type RowCursor,
  type WaitingRow,
  type WholeRow,
} from './waiting-rows.js';

export interface ChainerSettings {
  database: Database;
  keys: AuditKeys;
  log: Logger;
  /** Pause between looks when nothing was found. */
  idleMs?: number;
  rowsPerBatch?: number;
  /** Texts of what this process has appended; without them every row is read as a whole. */
  recent?: RecentRows;
  /** Ids of rows that have their place now. */
  onLinked?: (ids: readonly string[]) => void;
}

/** One look through all that waits, over as many batches as it takes. */
interface Round {
  /** When the look began: at its end all that was there then is linked. */
  snapshot: string;
  after: RowCursor | undefined;
  /** Has it linked anything? */
  hasLinked: boolean;
}

/** Where this process has come to, as far as nobody else has linked since. */
interface Mark {
  /** Position of the last row then. */
  position: number;
  seen: SeenSnapshot | undefined;
  /** What the next block says of it to others. */
  stored: SeenSnapshot | undefined;
  /** A row was sealed with a key that is not known here: the process that knows it must still be able to find it. */
  isHeldBack: boolean;
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
  private cluster: string | undefined;
  private mark: Mark | undefined;
  private round: Round | undefined;
  private last: ChainHead = chainStart;
  private readonly recent: RecentRows;
  private readonly refused = new Set<string>();
  /** Rows that do not bear a seal of Sluice, and are not linked. */
  foreignRows = 0;
  /** The chain was seen longer, or other, than it is now. */
  cutBack: string | undefined;

  constructor(private readonly settings: ChainerSettings) {
    this.recent = settings.recent ?? new RecentRows(0);
  }

  get head(): ChainHead {
    return this.last;
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
    const { database } = this.settings;
    const seen = this.mark?.seen;
    // Where rows have just come, more are to be expected, and asking first would only be one statement more.
    if (seen !== undefined && !this.isBusy && !(await database.read((tx) => hasWaiting(tx, seen, [...this.refused]))))
      return;
    this.isBusy = false;
    this.round = undefined;
    while (await this.linkBatch());
  }

  /** @returns whether there may be more */
  private async linkBatch(): Promise<boolean> {
    const limit = this.settings.rowsPerBatch ?? defaultRowsPerBatch;
    const linked = await this.settings.database.run(async (tx) => {
      if (!(await tryLock(tx, chainLock))) return undefined;
      const end = await chainEnd(tx, this.last.position);
      this.watchHead(end);
      const mark = await this.markAt(tx, end);
      const page = await waitingPage(tx, mark.seen, this.round?.after, limit);
      const { block, ids, isHeldBack } = await this.blockOf(tx, end, page.rows);
      const { snapshot, hasLinked } = this.round ?? { snapshot: page.snapshot, hasLinked: false };
      const round = { snapshot, after: page.next, hasLinked: hasLinked || block.seqs.length > 0 };
      const after = this.markAfter({ ...mark, isHeldBack: mark.isHeldBack || isHeldBack }, round);
      if (block.seqs.length > 0) await insertBlock(tx, block, after.stored);
      return { block, ids, round, mark: after, head: headAfter(end.head, block) };
    });
    if (linked === undefined) return false;
    const { block, ids, round, mark, head } = linked;
    this.last = head;
    this.mark = { ...mark, position: head.position };
    this.round = round;
    if (block.seqs.length > 0) {
      this.isBusy = true;
      this.recent.linked(ids);
      this.settings.onLinked?.(ids);
    }
    return round.after !== undefined;
  }

  /** This process's own mark while it is the only one that links, else what the last block says. */
  private async markAt(tx: Tx, { head, seen }: ChainEnd): Promise<Mark> {
    if (this.mark?.position === head.position) return this.mark;
    this.cluster ??= await clusterOf(tx);
    const believed = seen?.cluster === this.cluster ? seen : undefined;
    this.round = undefined;
    return { position: head.position, seen: believed, stored: believed, isHeldBack: false };
  }

  // A snapshot is kept only together with a block that came after it: the block's transaction outlives a crash of
  // PostgreSQL, so that no number of a transaction below it is given again.
  private markAfter(mark: Mark, round: Round): Mark {
    if (round.after !== undefined || !round.hasLinked || this.cluster === undefined) return mark;
    const seen = { text: round.snapshot, cluster: this.cluster };
    return { ...mark, seen, stored: mark.isHeldBack ? mark.stored : seen };
  }

  private async blockOf(
    tx: Tx,
    end: ChainEnd,
    rows: readonly WaitingRow[],
  ): Promise<{ block: ChainBlock; ids: string[]; isHeldBack: boolean }> {
    const { keys } = this.settings;
    const known = rows.map(({ id, seal }) => this.recent.textOf(id, seal));
    const unknown = rows.filter((_row, at) => known[at] === undefined).map(({ seq }) => seq);
    const whole = await wholeRows(tx, unknown);
    const block: ChainBlock = { firstPosition: end.head.position + 1, seqs: [], hashes: [], macs: [], keyId: keys.id };
    const ids: string[] = [];
    let previous = end.head.hash.toString('hex');
    let takesUnsealed = await isBeginning(tx, end, rows);
    let isHeldBack = false;
    for (const [at, { seq, id, seal }] of rows.entries()) {
      takesUnsealed &&= seal === '';
      const row = whole.get(seq);
      const text = known[at] ?? this.textOf(row, takesUnsealed);
      if (text === undefined) {
        isHeldBack ||= typeof row?.sealKey === 'string' && keys.publicKeyOf(row.sealKey) === undefined;
        this.refuse(seq, id);
        continue;
      }
      const bound = boundText(block.firstPosition + ids.length, previous, Number(seq), text);
      previous = hexHashOf(bound);
      block.seqs.push(seq);
      block.hashes.push(previous);
      block.macs.push(keys.mac(bound));
      ids.push(id);
    }
    return { block, ids, isHeldBack };
  }

  /** @returns undefined for a row that was not written by Sluice */
  private textOf(row: WholeRow | undefined, takesUnsealed: boolean): string | undefined {
    if (row === undefined) return undefined;
    const text = canonicalEvent(row);
    return takesUnsealed || this.settings.keys.isSeal(text, row.seal, row.sealKey) ? text : undefined;
  }

  private refuse(seq: string, id: string): void {
    if (this.refused.has(seq)) return;
    this.refused.add(seq);
    this.foreignRows = this.refused.size;
    this.settings.log.error({ seq, id }, 'an audit row bears no valid seal: it was not written by Sluice');
  }

  // What this process has linked cannot be gone: a cut that came after the last checkpoint is noticed by whoever remembers.
  private watchHead({ head, remembered }: ChainEnd): void {
    const { position, hash } = this.last;
    if (position > 0 && this.cutBack === undefined) {
      if (head.position < position) this.cutBack = `the chain had ${position} rows and now ends at ${head.position}`;
      else if (remembered !== undefined && !remembered.equals(hash))
        this.cutBack = `row ${position} is another one now`;
      if (this.cutBack !== undefined) this.settings.log.fatal({ problem: this.cutBack }, 'the audit chain was changed');
    }
  }
}

function headAfter(head: ChainHead, { seqs, hashes }: ChainBlock): ChainHead {
  const last = hashes.at(-1);
  return last === undefined ? head : { position: head.position + seqs.length, hash: Buffer.from(last, 'hex') };
}

/** What was written before there was a chain bears no seal. It comes first, and after the first sealed row nothing like it. */
async function isBeginning(tx: Tx, { head, lastSeq }: ChainEnd, rows: readonly WaitingRow[]): Promise<boolean> {
  if (head.position === 0) return true;
  if (!rows.some(({ seal }) => seal === '')) return false;
  const [last] = (await tx.query('SELECT seal IS NULL AS unsealed FROM audit_events WHERE seq = $1', [
    lastSeq ?? null,
  ])) as { unsealed: boolean }[];
  return last?.unsealed === true;
}
