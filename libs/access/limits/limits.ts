import { sluiceError } from '#libs/kernel';
import type { Principal } from '../principal.js';
import { Admission } from './admission.js';
import type { LimitBook } from './limit-book.js';
import { LimitRefusal, refuse } from './limit-refusal.js';
import { LimitSet, limitsOf, noLimits, type Limit } from './limit-set.js';
import type { LimitCost, LimitStore, LimitVerdict } from './ports/limit-store.js';

/** Of whom the limits are asked. */
export type LimitedCaller = Pick<Principal, 'keyId' | 'projectId' | 'tenantId' | 'tier' | 'endpoints'>;

export interface LimitAsk {
  /** Left out where a stream opens whose requests name their endpoints later. */
  endpoint?: string | undefined;
  /** The answer is a stream, and takes a slot of those as well until it ends. */
  isStream?: boolean;
  /** Only a stream opens; its requests are admitted one by one. */
  isOpening?: boolean;
  /** The most that it may use, as far as one can tell before. */
  tokens?: number;
}

export interface LimitsSettings {
  book: Pick<LimitBook, 'revision' | 'tier' | 'allowance' | 'hasOverride'>;
  store: LimitStore;
  onRefused?: (limit: Pick<Limit, 'name' | 'scope'>) => void;
}

interface CallerSets {
  readonly revision: number;
  readonly elsewhere: LimitSet;
  /** Only of endpoints that have limits of their own: callers may name what they like. */
  readonly byEndpoint: Map<string, LimitSet>;
}

const oneRequest: LimitCost = { requests: 1, streams: 0, tokens: 0 };
const oneStream: LimitCost = { requests: 0, streams: 1, tokens: 0 };

/** Lets a caller in as often as its limits allow. What holds for it is put together once, and not per request. */
export class Limits {
  private readonly sets = new WeakMap<LimitedCaller, CallerSets>();

  constructor(private readonly settings: LimitsSettings) {}

  /**
   * There at once when the store counts in process, a promise when it has to be asked.
   * @throws LimitRefusal, SLU_ACCESS_TIER_MISSING, SLU_ACCESS_LIMITS_DOWN
   */
  admit(caller: LimitedCaller, ask: LimitAsk): Admission | Promise<Admission> {
    const set = this.setOf(caller, ask.endpoint);
    const cost = costOf(ask);
    if (set === noLimits) return new Admission(this.settings.store, set, undefined, undefined);
    const verdict = this.settings.store.admit(set, cost);
    return verdict instanceof Promise
      ? verdict.then((given) => this.admitted(set, cost, given))
      : this.admitted(set, cost, verdict);
  }

  private admitted(set: LimitSet, cost: LimitCost, verdict: LimitVerdict): Admission {
    if (verdict.refusedBy >= 0) {
      this.settings.onRefused?.(set.limits[verdict.refusedBy]!);
      refuse(set, verdict, cost);
    }
    return new Admission(this.settings.store, set, verdict, verdict.hold);
  }

  private setOf(caller: LimitedCaller, endpoint: string | undefined): LimitSet {
    const { book } = this.settings;
    let sets = this.sets.get(caller);
    if (sets === undefined || sets.revision !== book.revision) {
      sets = { revision: book.revision, elsewhere: this.made(caller, undefined), byEndpoint: new Map() };
      this.sets.set(caller, sets);
    }
    if (endpoint === undefined || !book.hasOverride('endpoint', endpoint)) return sets.elsewhere;
    // The limits of an endpoint that a caller must not know of would tell that there is one.
    if (caller.endpoints !== undefined && !caller.endpoints.has(endpoint)) return sets.elsewhere;
    let set = sets.byEndpoint.get(endpoint);
    if (set === undefined) {
      set = this.made(caller, endpoint);
      sets.byEndpoint.set(endpoint, set);
    }
    return set;
  }

  private made({ keyId, projectId, tenantId, tier: name }: LimitedCaller, endpoint: string | undefined): LimitSet {
    const { book } = this.settings;
    const tier = book.tier(name);
    if (tier === undefined) throw sluiceError('SLU_ACCESS_TIER_MISSING', { tier: name });
    const limits = [
      ...limitsOf('key', keyId, book.allowance('key', keyId, tier.key)),
      ...limitsOf('project', projectId, book.allowance('project', projectId, tier.project)),
      ...limitsOf('tenant', tenantId, book.allowance('tenant', tenantId, tier.tenant)),
      ...(endpoint === undefined ? [] : limitsOf('endpoint', endpoint, book.allowance('endpoint', endpoint))),
    ];
    return limits.length === 0 ? noLimits : new LimitSet(limits);
  }
}

function costOf({ isStream = false, isOpening = false, tokens = 0 }: LimitAsk): LimitCost {
  if (isOpening) return oneStream;
  if (!isStream && tokens === 0) return oneRequest;
  return { requests: 1, streams: isStream ? 1 : 0, tokens };
}

export const isLimitRefusal = (failure: unknown): failure is LimitRefusal => failure instanceof LimitRefusal;
