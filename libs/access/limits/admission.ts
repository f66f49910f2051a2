import { openAiLimitHeaders, policyHeader, rateLimitHeader } from './limit-headers.js';
import type { LimitSet } from './limit-set.js';
import type { LimitHold, LimitStore, LimitVerdict } from './ports/limit-store.js';

/** What a request used in the end; undefined where nobody can tell. */
export interface Used {
  readonly promptTokens: number | undefined;
  readonly completionTokens: number | undefined;
}

/** A request that was let in. Whoever holds it calls `release` once it has ended, in whatever way; twice does no harm. */
export class Admission {
  private spent: number | undefined;
  private isOver = false;

  constructor(
    private readonly store: LimitStore,
    private readonly set: LimitSet,
    private readonly verdict: LimitVerdict | undefined,
    private readonly hold: LimitHold | undefined,
  ) {}

  /** `RateLimit-Policy` and `RateLimit`, where there is a limit. */
  get headers(): [name: string, value: string][] {
    const { set, verdict } = this;
    if (verdict === undefined) return [];
    const standing = rateLimitHeader(set, verdict);
    if (standing === undefined) return [];
    return [
      ['ratelimit-policy', policyHeader(set)],
      ['ratelimit', standing],
    ];
  }

  get openAiHeaders(): [name: string, value: string][] {
    return this.verdict === undefined ? [] : openAiLimitHeaders(this.set, this.verdict);
  }

  /** What was used instead of what was reserved. Without it, the reservation counts. */
  spentTokens(tokens: number): void {
    this.spent = tokens;
  }

  /** As `spentTokens`, with both kinds apart. What nobody counted stays as it was reserved. */
  spentUsage({ promptTokens, completionTokens }: Used): void {
    if (promptTokens !== undefined || completionTokens !== undefined)
      this.spent = (promptTokens ?? 0) + (completionTokens ?? 0);
  }

  release(): void {
    if (this.isOver) return;
    this.isOver = true;
    if (this.hold !== undefined) this.store.end(this.hold, this.spent ?? this.hold.cost.tokens);
  }
}
