import type { Checkpoint } from '../checkpoint.js';

/** A second place, out of reach of whoever holds the database, where checkpoints are put and never changed. */
export interface CheckpointPlace {
  /** For people: where it is. */
  readonly name: string;
  /** Resolves when the checkpoint is there to stay. */
  put(checkpoint: Checkpoint): Promise<void>;
  /** The texts of checkpoints as they lie there; what is none of ours is for the reader to refuse. */
  read(): AsyncIterable<string>;
}
