import { sluiceError } from '#libs/kernel';
import { retryAfterSeconds } from './batcher-refusals.js';
import type { WaitingRequest } from './batcher-request.js';

/** A run that is put together again after a failure. A suspect may have killed its replica and gets the next one alone. */
export interface Retry {
  items: WaitingRequest[];
  isSuspect: boolean;
}

type Expire = (item: WaitingRequest, nowMs: number) => void;

const isolateUpTo = 4;

/** What runs again because others in its batch failed, or its replica was lost: once, and before whatever waits. */
export class Retries {
  private list: Retry[] = [];

  get isEmpty(): boolean {
    return this.list.length === 0;
  }

  /** The first one whose requests still want an answer and have the time for it; the others are given to `expire`. */
  next(nowMs: number, expire: Expire): Retry | undefined {
    for (;;) {
      const retry = this.list[0];
      if (retry === undefined) return undefined;
      for (const item of retry.items) if (nowMs >= item.deadlineMs) expire(item, nowMs);
      retry.items = retry.items.filter((item) => !item.isSettled);
      if (retry.items.length > 0) return retry;
      this.list.shift();
    }
  }

  /** The one that `next` has given is under way. */
  begun(): void {
    this.list.shift();
  }

  sweep(nowMs: number, expire: Expire): void {
    for (const { items } of this.list) for (const item of items) expire(item, nowMs);
    this.list = this.list.filter(({ items }) => items.some((item) => !item.isSettled));
  }

  // Which of them killed the replica is unknown. One by one, each on a replica of its own, only the guilty one fails.
  lost(items: readonly WaitingRequest[], isSuspect: boolean): void {
    for (const item of items) {
      item.losses += 1;
      if (item.losses > 1) item.fail(sluiceError('SLU_INFERENCE_REPLICA_LOST', {}, { retryAfterSeconds }));
      else if (!item.isSettled) this.list.push({ items: [item], isSuspect });
    }
  }

  /** Halves find one guilty request among many in few runs. @param isEachAlone it is the batching that fails */
  isolate(items: readonly WaitingRequest[], isEachAlone: boolean): void {
    if (isEachAlone || items.length <= isolateUpTo) {
      for (const item of items) this.list.push({ items: [item], isSuspect: item.losses > 0 });
      return;
    }
    const half = items.length >> 1;
    for (const part of [items.slice(0, half), items.slice(half)]) this.list.push({ items: part, isSuspect: false });
  }
}
