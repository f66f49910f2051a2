import { CancellationScope, log } from '@temporalio/workflow';
import type { ProgressRecord } from './contract.js';
import { recordProgress } from './effects.js';

/** Writes the timeline in order, one line after the other, while the rollout goes on with what matters more. */
export class Journal {
  private last: Promise<boolean> = Promise.resolve(true);

  /** @returns when this line is written; false when the rollout's row is over, so that nobody wants this rollout */
  append(line: ProgressRecord): Promise<boolean> {
    this.last = this.last.then(async () => {
      try {
        return (await CancellationScope.nonCancellable(() => recordProgress(line))) === 'written';
      } catch (failure) {
        // Only a failure that no retry can mend arrives here; a missing line must not stop a rollback.
        log.error('a timeline line could not be written', { kind: line.kind, failure: String(failure) });
        return true;
      }
    });
    return this.last;
  }

  async flush(): Promise<void> {
    await this.last;
  }
}
