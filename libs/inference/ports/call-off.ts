import type { CallSignal } from './replica.js';

/** Ends one call and everything that is done for it, once. Listeners must not throw. */
export class CallOff implements CallSignal {
  aborted = false;
  reason: unknown;
  private readonly listeners: (() => void)[] = [];

  abort(reason: unknown): void {
    if (this.aborted) return;
    this.aborted = true;
    this.reason = reason;
    // One listener may take away another.
    for (let next = this.listeners.shift(); next !== undefined; next = this.listeners.shift()) next();
  }

  addEventListener(_type: 'abort', listener: () => void): void {
    if (!this.aborted) this.listeners.push(listener);
  }

  removeEventListener(_type: 'abort', listener: () => void): void {
    const at = this.listeners.indexOf(listener);
    if (at >= 0) this.listeners.splice(at, 1);
  }
}
