import { secondsToMs } from '#libs/kernel';
import type { Database } from '#libs/store';
import type { KeyRing } from './key-ring.js';

export interface KeyUsesSettings {
  database: Pick<Database, 'query'>;
  keyRing: Pick<KeyRing, 'takeUsed'>;
  everySeconds?: number;
  onProblem?: (problem: unknown) => void;
}

const defaultEverySeconds = 30;

/** Writes down when keys were last used: all of a round in one statement, and never while a request waits. */
export class KeyUses implements AsyncDisposable {
  private readonly timer: NodeJS.Timeout;
  private unwritten = new Set<string>();
  private writing: Promise<void> = Promise.resolve();

  constructor(private readonly settings: KeyUsesSettings) {
    this.timer = setInterval(() => void this.flush(), secondsToMs(settings.everySeconds ?? defaultEverySeconds));
    this.timer.unref();
  }

  /** All uses so far are written when it resolves, unless the database is away: then they are kept for the next round. */
  async flush(): Promise<void> {
    this.writing = this.writing.then(() => this.write());
    await this.writing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.timer);
    await this.flush();
  }

  private async write(): Promise<void> {
    const ids = [...new Set([...this.unwritten, ...this.settings.keyRing.takeUsed()])];
    this.unwritten.clear();
    if (ids.length === 0) return;
    try {
      await this.settings.database.query('UPDATE api_keys SET last_used_at = now() WHERE id = ANY($1::uuid[])', [ids]);
    } catch (problem) {
      for (const id of ids) this.unwritten.add(id);
      this.settings.onProblem?.(problem);
    }
  }
}
