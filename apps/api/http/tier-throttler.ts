import type { LimitBook, Limiting, Principal } from '#libs/access';
import { secondsToMs, sluiceError } from '#libs/kernel';
import { Inject, Injectable, type ExecutionContext } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import {
  getOptionsToken,
  getStorageToken,
  ThrottlerGuard,
  type ThrottlerModuleOptions,
  type ThrottlerOptions,
  type ThrottlerRequest,
  type ThrottlerStorage,
} from '@nestjs/throttler';
import type { FastifyReply, FastifyRequest } from 'fastify';

export const limitingToken = Symbol('limiting');

/** One named throttler per tier, each for the callers of its tier alone. */
const throttlersOf = (book: LimitBook): ThrottlerOptions[] =>
  book.tierNames.map((name) => ({
    name,
    limit: () => rateOf(book, name).burst,
    ttl: () => (secondsToMs(1) * rateOf(book, name).burst) / rateOf(book, name).perSecond,
    skipIf: (context) => principalOf(context)?.tier !== name,
  }));

export const throttlerOptions = ({ book, throttlerStorage }: Limiting): ThrottlerModuleOptions => ({
  throttlers: throttlersOf(book),
  storage: throttlerStorage,
});

/** Throttles management calls by the tier of their key. Tiers may come and change at any time. */
@Injectable()
export class TierThrottler extends ThrottlerGuard {
  private revision = -1;

  constructor(
    @Inject(getOptionsToken()) options: ThrottlerModuleOptions,
    @Inject(getStorageToken()) storage: ThrottlerStorage,
    @Inject(Reflector) reflector: Reflector,
    @Inject(limitingToken) private readonly limiting: Limiting,
  ) {
    super(options, storage, reflector);
  }

  override async canActivate(context: ExecutionContext): Promise<boolean> {
    const { book } = this.limiting;
    const tier = principalOf(context)?.tier;
    if (tier !== undefined && book.tier(tier) === undefined) throw sluiceError('SLU_ACCESS_TIER_MISSING', { tier });
    if (this.revision !== book.revision) {
      this.throttlers = throttlersOf(book);
      this.revision = book.revision;
    }
    return super.canActivate(context);
  }

  protected override async handleRequest({ context, limit, ttl, throttler }: ThrottlerRequest): Promise<boolean> {
    const { principal } = context.switchToHttp().getRequest<FastifyRequest>();
    const name = throttler.name ?? 'default';
    const record = await this.storageService.increment(principal.keyId, ttl, limit, 0, name);
    const { totalHits, timeToExpire, isBlocked, timeToBlockExpire } = record;
    const seconds = isBlocked ? timeToBlockExpire : timeToExpire;
    const windowSeconds = Math.max(1, Math.round(ttl / 1_000));
    context
      .switchToHttp()
      .getResponse<FastifyReply>()
      .header('ratelimit-policy', `"management-${name}";q=${limit};w=${windowSeconds}`)
      .header('ratelimit', `"management-${name}";r=${Math.max(0, limit - totalHits)};t=${seconds}`);
    if (!isBlocked) return true;
    this.limiting.onRefused?.({ name: 'requests-per-second', scope: 'management' });
    const allowed = `${rateOf(this.limiting.book, name).perSecond}, at once ${limit}`;
    throw sluiceError(
      'SLU_ACCESS_LIMIT_REACHED',
      { limit: 'requests-per-second', scope: 'key', allowed, retryAfterSeconds: seconds },
      { retryAfterSeconds: seconds },
    );
  }
}

const principalOf = (context: ExecutionContext): Principal | undefined =>
  context.switchToHttp().getRequest<FastifyRequest>().principal;

function rateOf(book: LimitBook, tier: string): { perSecond: number; burst: number } {
  const found = book.tier(tier);
  if (found === undefined) throw sluiceError('SLU_ACCESS_TIER_MISSING', { tier });
  return found.management;
}
