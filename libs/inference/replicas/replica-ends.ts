import type { ReplicaCause } from '#libs/store';
import type { ReplicaRow } from '../routes/serving-state-rows.js';

export interface CountedEnds {
  readonly model: string;
  readonly version: string;
  readonly cause: ReplicaCause;
  count: number;
}

/** Counts the ends of replicas by their causes, from the rows as they change. */
export class ReplicaEnds {
  private readonly byKey = new Map<string, CountedEnds>();

  get counts(): Iterable<CountedEnds> {
    return this.byKey.values();
  }

  /** A row that is announced twice, or was first seen when it had ended, counts once or not at all. */
  note(before: ReplicaRow | undefined, { model, version, cause, endedAt }: ReplicaRow): void {
    if (endedAt === null || cause === undefined || cause === null || before === undefined || before.endedAt !== null)
      return;
    const key = `${model}/${version}/${cause}`;
    const counted = this.byKey.get(key);
    if (counted === undefined) this.byKey.set(key, { model, version, cause, count: 1 });
    else counted.count += 1;
  }
}
