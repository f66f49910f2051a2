/** What the chainer needs of a row that this process has appended itself. */
export interface RecentRow {
  /** As it was sealed. */
  text: string;
  /** Hexadecimal. */
  seal: string;
}

const defaultMostRows = 20_000;

/**
 * The texts of rows that this process has appended and not yet seen in the chain, so that they are not read and put
 * together a second time. What was changed in the database meanwhile is linked as it was appended: the verification
 * then finds the change. A row that is not here any more is read as a whole.
 */
export class RecentRows {
  private readonly rows = new Map<string, RecentRow>();

  constructor(private readonly mostRows = defaultMostRows) {}

  note(id: string, row: RecentRow): void {
    this.rows.set(id, row);
    if (this.rows.size <= this.mostRows) return;
    // The oldest: it was rolled back, or others link what this process appends.
    for (const oldest of this.rows.keys()) {
      this.rows.delete(oldest);
      return;
    }
  }

  /** @param seal hexadecimal, as the database has it: a row under another seal is not the one that was appended */
  textOf(id: string, seal: string): string | undefined {
    const row = this.rows.get(id);
    return row?.seal === seal ? row.text : undefined;
  }

  linked(ids: readonly string[]): void {
    for (const id of ids) this.rows.delete(id);
  }
}
