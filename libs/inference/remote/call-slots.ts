import { type CallSignal, ReplicaFailure, type ReplicaCall } from '../ports/replica.js';

interface Waiting {
  enter(): void;
}

/** So many calls at the same time and no more. Who waits goes in the order of coming, and gives up at the end of its time. */
export class CallSlots {
  private taken = 0;
  private readonly waiting = new Set<Waiting>();

  constructor(private readonly most: number) {}

  get waitingCount(): number {
    return this.waiting.size;
  }

  /**
   * @returns how to give the slot back; a second time changes nothing
   * @throws ReplicaFailure 'timeout' when none came free in time, 'lost' when the caller ended the call
   */
  acquire(call: Pick<ReplicaCall, 'timeoutMs' | 'signal'>): Promise<() => void> {
    if (call.signal?.aborted === true) return Promise.reject(cancelled(call.signal));
    const release = this.take();
    return release === undefined ? this.wait(call) : Promise.resolve(release);
  }

  /** A slot that is free now: nobody waits while there is one. @returns how to give it back, undefined when there is none */
  take(): (() => void) | undefined {
    if (this.taken >= this.most) return undefined;
    this.taken += 1;
    return this.release();
  }

  private wait({ timeoutMs, signal }: Pick<ReplicaCall, 'timeoutMs' | 'signal'>): Promise<() => void> {
    return new Promise((resolve, reject) => {
      const leave = (failure: ReplicaFailure): void => {
        settle();
        reject(failure);
      };
      const onAbort = (): void => leave(cancelled(signal!));
      const timer = setTimeout(
        () =>
          leave(new ReplicaFailure('timeout', `all ${this.most} places at the target were taken for ${timeoutMs} ms`)),
        timeoutMs,
      );
      const settle = (): void => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', onAbort);
        this.waiting.delete(waiting);
      };
      const waiting: Waiting = {
        enter: () => {
          settle();
          resolve(this.release());
        },
      };
      signal?.addEventListener('abort', onAbort, { once: true });
      this.waiting.add(waiting);
    });
  }

  private release(): () => void {
    let isHeld = true;
    return () => {
      if (!isHeld) return;
      isHeld = false;
      const [next] = this.waiting;
      // The slot passes on without ever being free, so that nobody who comes now gets before those who wait.
      if (next === undefined) this.taken -= 1;
      else next.enter();
    };
  }
}

const cancelled = (signal: CallSignal): ReplicaFailure =>
  new ReplicaFailure('lost', 'the call was cancelled', { cause: signal.reason });
