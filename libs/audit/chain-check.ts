import { canonicalEvent, type StoredEvent } from './audit-event.js';
import type { AuditKeys } from './audit-keys.js';
import { chainStart, hashOf, linkText, type ChainHead, type ChainLink } from './chain-link.js';
import { isSigned, type Checkpoint, type Tombstone } from './checkpoint.js';

/** What is wrong with the trail. */
export interface Finding {
  kind:
    | 'row-changed'
    | 'row-removed'
    | 'row-foreign'
    | 'row-unlinked'
    | 'mac-wrong'
    | 'key-unknown'
    | 'tail-cut'
    | 'checkpoint-mismatch'
    | 'checkpoint-forged'
    | 'tombstone-forged'
    | 'export-incomplete';
  position: number | null;
  problem: string;
}

export interface ChainCheckSettings {
  /** Public keys by id, for checkpoints and tombstones. */
  publicKeys: ReadonlyMap<string, string>;
  /** With the secret keys the codes of the rows are checked too; without them only the hashes are. */
  keys?: AuditKeys | undefined;
  /** Where to begin; the start of the chain when left out. */
  from?: ChainHead | undefined;
}

const mostFindings = 100;

/** Walks the chain in the order of positions, and finds what does not hold. The same with and without database. */
export class ChainCheck {
  readonly findings: Finding[] = [];
  private head: ChainHead;
  private readonly first: number;
  private readonly expected = new Map<number, string>();
  private readonly purged: { first: number; last: number }[] = [];
  private longest = 0;
  private isAfterHole = false;
  rows = 0;
  checkpoints = 0;
  /** There is more that is wrong than is listed. */
  isShortened = false;
  /** Up to where a signed checkpoint agrees with the rows. */
  agreed = 0;

  constructor(private readonly settings: ChainCheckSettings) {
    this.head = settings.from ?? chainStart;
    this.first = this.head.position;
  }

  get position(): number {
    return this.head.position;
  }

  get headHash(): Buffer {
    return this.head.hash;
  }

  /** Before the rows: what was signed about them. */
  checkpoint(checkpoint: Checkpoint): void {
    const { count, head } = checkpoint;
    const known = this.expected.get(count);
    // What says the same as one that was checked has nothing to add.
    if (known === head) return;
    const publicKey = this.settings.publicKeys.get(checkpoint.keyId);
    if (publicKey === undefined || !isSigned(checkpoint, publicKey)) {
      const why =
        publicKey === undefined ? `is signed by the unknown key ${checkpoint.keyId}` : 'has a wrong signature';
      return this.find('checkpoint-forged', count, `the checkpoint of ${checkpoint.at} ${why}`);
    }
    if (known !== undefined)
      return this.find('checkpoint-mismatch', count, `two checkpoints say different things about row ${count}`);
    this.checkpoints += 1;
    this.longest = Math.max(this.longest, count);
    if (count < this.first) return;
    this.expected.set(count, head);
    if (count === this.first) this.compare(count, this.head.hash);
  }

  row(link: ChainLink, event: StoredEvent | undefined): void {
    this.missing(link.position);
    if (event === undefined) this.find('row-removed', link.position, `row ${link.position} (${link.seq}) is gone`);
    else if (!this.isAfterHole) this.compareRow(link, event);
    this.isAfterHole = false;
    // From what is stored, so that one change is not reported for every row after it.
    this.head = { position: link.position, hash: link.hash };
    this.rows += 1;
    this.compare(link.position, link.hash);
  }

  /** In the place of the rows that it stands for. */
  tombstone(stone: Tombstone): void {
    this.missing(stone.firstPosition);
    const publicKey = this.settings.publicKeys.get(stone.keyId);
    const { firstPosition, lastPosition } = stone;
    const name = `the tombstone of rows ${firstPosition} to ${lastPosition}`;
    if (publicKey === undefined || !isSigned(stone, publicKey))
      this.find('tombstone-forged', firstPosition, `${name} is not signed by a known key`);
    else if (!this.isAfterHole && stone.previousHash !== this.head.hash.toString('hex'))
      this.find('tombstone-forged', firstPosition, `${name} does not fit the row before it`);
    this.isAfterHole = false;
    this.purged.push({ first: firstPosition, last: lastPosition });
    this.head = { position: lastPosition, hash: Buffer.from(stone.lastHash, 'hex') };
    this.compare(lastPosition, this.head.hash);
  }

  /** After the last row: is anything missing that a checkpoint has seen? */
  end(): void {
    const { position } = this.head;
    if (this.longest > position)
      this.find('tail-cut', position, `a checkpoint has seen ${this.longest} rows, and ${position} are there`);
    for (const count of [...this.expected.keys()].sort((a, b) => a - b)) {
      if (count <= this.first || count > position) continue;
      const isPurged = this.purged.some(({ first, last }) => count >= first && count < last);
      if (!isPurged) this.find('checkpoint-mismatch', count, `row ${count}, which a checkpoint has seen, is not there`);
    }
  }

  find(kind: Finding['kind'], position: number | null, problem: string): void {
    if (this.findings.length < mostFindings) this.findings.push({ kind, position, problem });
    else this.isShortened = true;
  }

  private missing(position: number): void {
    const next = this.head.position + 1;
    if (position === next) return;
    const problem =
      position > next
        ? `rows ${next} to ${position - 1} are gone, without a tombstone`
        : `row ${position} comes after row ${next - 1}`;
    this.find(position > next ? 'row-removed' : 'row-changed', Math.min(position, next), problem);
    this.head = { position: position - 1, hash: this.head.hash };
    // What the next row is bound to is not there to compare it with.
    this.isAfterHole = true;
  }

  private compareRow(link: ChainLink, event: StoredEvent): void {
    const { position } = link;
    const text = linkText(this.head, link.seq, canonicalEvent(event));
    if (!hashOf(text).equals(link.hash))
      return this.find('row-changed', position, `row ${position} is not what was linked there, or not in its place`);
    const isMac = this.settings.keys?.isMac(text, link.mac, link.keyId) ?? this.settings.keys === undefined;
    if (isMac) return;
    const isKnown = this.settings.keys?.publicKeyOf(link.keyId) !== undefined;
    if (isKnown) this.find('mac-wrong', position, `row ${position} was linked by somebody without the key`);
    else
      this.find(
        'key-unknown',
        position,
        `row ${position} was linked with the key ${link.keyId}, which is not known here`,
      );
  }

  private compare(position: number, hash: Buffer): void {
    const expected = this.expected.get(position);
    if (expected === undefined) return;
    if (expected !== hash.toString('hex'))
      this.find('checkpoint-mismatch', position, `row ${position} is not the one that a checkpoint has seen`);
    else this.agreed = position;
    if (position !== this.first) this.expected.delete(position);
  }
}
