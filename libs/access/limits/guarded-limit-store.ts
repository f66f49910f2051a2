import { secondsToMs, sluiceError, systemClock, type Clock } from '#libs/kernel';
import type { LimitSet } from './limit-set.js';
import type { LimitCost, LimitHold, LimitStore, LimitVerdict } from './ports/limit-store.js';

/** What holds while the shared store cannot be asked. */
export type WithoutRedis = { kind: 'refuse' } | { kind: 'local'; share: number };

export interface GuardedLimitStoreSettings {
  shared: LimitStore;
  local: LimitStore;
  without: WithoutRedis;
  clock?: Clock;
  /** Told when the shared store is lost, and when it is back. */
  onLost?: (problem: unknown) => void;
  onBack?: () => void;
}

const askAgainMs = secondsToMs(1);
const retryAfterSeconds = 1;

/**
 * The shared store for as long as it answers. When it does not, requests are refused, or counted here at a share of the
 * limits; only one request a second still waits to find out whether it is back.
 */
export class GuardedLimitStore implements LimitStore {
  private readonly shares = new WeakMap<LimitSet, LimitSet>();
  private readonly localHolds = new WeakSet<LimitHold>();
  private readonly clock: Clock;
  private askAgainAtMs = 0;
  private isLost = false;
  failures = 0;

  constructor(private readonly settings: GuardedLimitStoreSettings) {
    this.clock = settings.clock ?? systemClock;
  }

  get isUp(): boolean {
    return !this.isLost;
  }

  async admit(set: LimitSet, cost: LimitCost): Promise<LimitVerdict> {
    const nowMs = this.clock.monotonicMs();
    if (this.isLost && nowMs < this.askAgainAtMs) return this.admitWithout(set, cost);
    this.askAgainAtMs = nowMs + askAgainMs;
    try {
      const verdict = await this.settings.shared.admit(set, cost);
      if (this.isLost) this.settings.onBack?.();
      this.isLost = false;
      return verdict;
    } catch (problem) {
      this.failures += 1;
      this.askAgainAtMs = this.clock.monotonicMs() + askAgainMs;
      if (!this.isLost) this.settings.onLost?.(problem);
      this.isLost = true;
      return this.admitWithout(set, cost, problem);
    }
  }

  end(hold: LimitHold, usedTokens: number): void {
    if (this.localHolds.has(hold)) this.settings.local.end(hold, usedTokens);
    else this.settings.shared.end(hold, usedTokens);
  }

  private admitWithout(set: LimitSet, cost: LimitCost, cause?: unknown): LimitVerdict | Promise<LimitVerdict> {
    const { without, local } = this.settings;
    if (without.kind === 'refuse')
      throw sluiceError('SLU_ACCESS_LIMITS_DOWN', { retryAfterSeconds }, { retryAfterSeconds, cause });
    let share = this.shares.get(set);
    if (share === undefined) {
      share = set.scaled(without.share);
      this.shares.set(set, share);
    }
    const verdict = local.admit(share, cost);
    if (verdict instanceof Promise) return verdict;
    if (verdict.hold !== undefined) this.localHolds.add(verdict.hold);
    return verdict;
  }
}
