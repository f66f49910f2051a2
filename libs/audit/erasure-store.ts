import type { Tx } from '#libs/store';

/** What GDPR Art. 30 wants to know of a place where personal data stand. */
export interface Processing {
  /** What stands here, in one sentence. */
  holds: string;
  purpose: string;
  legalBasis: string;
  /** In days; null: as long as something else says. */
  retentionDays: number | null;
  protection: string;
}

/**
 * A place that may hold something of a subject. Whoever adds one to the list of stores has it exported, erased, certified
 * and named in the records of processing.
 */
export interface ErasureStore {
  /** Stands in certificates; never changed once it was used. */
  readonly name: string;
  readonly processing: Processing;
  /** What is held of the subject, as JSON values, the oldest first. */
  find(tx: Tx, subject: string, limit: number): Promise<unknown[]>;
  /**
   * Erases at most a portion of what was there at `until`. Called again until it has nothing to erase; may be called
   * again later. @returns how many were erased
   */
  erasePortion(tx: Tx, subject: string, until: Date): Promise<number>;
}

export const erasedAtATime = 2_000;
