import type { Limit, LimitSet } from './limit-set.js';
import type { LimitVerdict } from './ports/limit-store.js';

/** Where a caller stands: what its answers say of its limits. */
export type LimitStanding = Pick<LimitVerdict, 'remaining' | 'untilNextDayMs'>;

const units = { requests: '', tokens: ';qu="tokens"', streams: ';qu="concurrent-streams"' } as const;
const daySeconds = 86_400;

/**
 * Every limit that holds, as `RateLimit-Policy`.
 * Source: draft-ietf-httpapi-ratelimit-headers-11, whose items are strings with `q`, `qu` and `w`.
 */
export function policyHeader(set: LimitSet): string {
  return (set.policyHeader ??= set.limits.map(policyItem).join(', '));
}

function policyItem(limit: Limit): string {
  const { kind, unit, capacity, intervalMs } = limit;
  if (kind === 'slots') {
    const quotaUnit = unit === 'streams' ? units.streams : ';qu="concurrent-requests"';
    return `"${nameOf(limit)}";q=${capacity}${quotaUnit}`;
  }
  const windowSeconds = kind === 'day' ? daySeconds : Math.max(1, Math.round((capacity * intervalMs) / 1_000));
  return `"${nameOf(limit)}";q=${capacity}${units[unit]};w=${windowSeconds}`;
}

/** The limit of which the least is left, as `RateLimit`; undefined where there is no limit. */
export function rateLimitHeader(set: LimitSet, standing: LimitStanding): string | undefined {
  const index = scarcest(set, standing, () => true);
  return index === -1 ? undefined : rateLimitItem(set, standing, index);
}

/** @param afterMs when more comes, where that is known better */
export function rateLimitItem({ limits }: LimitSet, standing: LimitStanding, index: number, afterMs?: number): string {
  const limit = limits[index]!;
  const remaining = standing.remaining[index]!;
  if (limit.kind === 'slots') return `"${nameOf(limit)}";r=${remaining}`;
  const resetMs = afterMs ?? resetMsOf(limit, remaining, standing);
  const seconds = Number.isFinite(resetMs) ? `;t=${Math.ceil(resetMs / 1_000)}` : '';
  return `"${nameOf(limit)}";r=${remaining}${seconds}`;
}

/** The six `x-ratelimit-*` headers that OpenAI's callers know, for what is limited. */
export function openAiLimitHeaders(set: LimitSet, standing: LimitStanding): [name: string, value: string][] {
  const headers: [string, string][] = [];
  for (const unit of ['requests', 'tokens'] as const) {
    const index = scarcest(set, standing, (limit) => limit.unit === unit && limit.kind !== 'slots');
    if (index === -1) continue;
    const limit = set.limits[index]!;
    const remaining = standing.remaining[index]!;
    headers.push(
      [`x-ratelimit-limit-${unit}`, String(limit.capacity)],
      [`x-ratelimit-remaining-${unit}`, String(remaining)],
      [`x-ratelimit-reset-${unit}`, durationText(resetMsOf(limit, remaining, standing))],
    );
  }
  return headers;
}

/** As Go writes durations, which is how OpenAI does: `12ms`, `1.5s`, `6m0s`, `23h59m1s`. */
export function durationText(milliseconds: number): string {
  const whole = Math.ceil(milliseconds);
  if (whole < 1_000) return `${whole}ms`;
  const seconds = whole / 1_000;
  if (seconds < 60) return `${Number(seconds.toFixed(3))}s`;
  const rounded = Math.ceil(seconds);
  const [hours, minutes] = [Math.floor(rounded / 3_600), Math.floor((rounded % 3_600) / 60)];
  return `${hours > 0 ? `${hours}h` : ''}${minutes}m${rounded % 60}s`;
}

const nameOf = ({ name, scope }: Limit): string => `${scope}-${name}`;

function resetMsOf({ kind, capacity, intervalMs }: Limit, remaining: number, standing: LimitStanding): number {
  return kind === 'day' ? standing.untilNextDayMs : (capacity - remaining) * intervalMs;
}

/** The index of the limit with the smallest share left; -1 when none fits. */
function scarcest({ limits }: LimitSet, { remaining }: LimitStanding, fits: (limit: Limit) => boolean): number {
  let found = -1;
  let least = Infinity;
  for (let index = 0; index < limits.length; index += 1) {
    const limit = limits[index]!;
    const share = limit.capacity === 0 ? 0 : remaining[index]! / limit.capacity;
    if (share < least && fits(limit)) {
      least = share;
      found = index;
    }
  }
  return found;
}
