/** What one request costs, in whole micro-units (millionths) of the currency. What is not priced is 0. */
export interface Price {
  readonly requestMicros: number;
  readonly thousandTokensInMicros: number;
  readonly thousandTokensOutMicros: number;
  readonly replicaSecondMicros: number;
  readonly rowMicros: number;
  /** Instead of all others, of a request that failed. */
  readonly failedRequestMicros: number;
}

/** What a request used, or may use at most. Whole numbers from 0. */
export interface Consumption {
  readonly tokensIn: number;
  readonly tokensOut: number;
  readonly replicaMs: number;
  readonly rows: number;
}

/** Products and sums of numbers within these bounds are exact. */
export const mostPriceMicros = 1_000_000_000;
export const mostConsumed = 2 ** 31 - 1;

export const freePrice: Price = {
  requestMicros: 0,
  thousandTokensInMicros: 0,
  thousandTokensOutMicros: 0,
  replicaSecondMicros: 0,
  rowMicros: 0,
  failedRequestMicros: 0,
};

/**
 * The cost, rounded up once at the end: a request that used something that has a price is never free. It never falls when
 * a member of `used` grows, so the cost of the worst case is the worst cost.
 */
export function costMicros(price: Price, used: Consumption): number {
  const tokensIn = bounded(used.tokensIn);
  const tokensOut = bounded(used.tokensOut);
  const replicaMs = bounded(used.replicaMs);
  const whole =
    price.requestMicros +
    bounded(used.rows) * price.rowMicros +
    thousands(tokensIn) * price.thousandTokensInMicros +
    thousands(tokensOut) * price.thousandTokensOutMicros +
    thousands(replicaMs) * price.replicaSecondMicros;
  const thousandths =
    (tokensIn % 1_000) * price.thousandTokensInMicros +
    (tokensOut % 1_000) * price.thousandTokensOutMicros +
    (replicaMs % 1_000) * price.replicaSecondMicros;
  return Math.min(Number.MAX_SAFE_INTEGER, whole + Math.ceil(thousandths / 1_000));
}

/** The most that a request which is not answered may cost. */
export const worstCostMicros = (price: Price, worst: Consumption): number =>
  Math.max(price.failedRequestMicros, costMicros(price, worst));

/** How many tokens of the answer fit into `leftMicros` beside everything else; negative when even none do not. */
export function tokensOutThatFit(price: Price, worst: Consumption, leftMicros: number): number {
  const withoutAnswer = worstCostMicros(price, { ...worst, tokensOut: 0 });
  if (withoutAnswer > leftMicros) return -1;
  if (price.thousandTokensOutMicros === 0) return mostConsumed;
  let tokens = Math.min(
    mostConsumed,
    Math.floor(((leftMicros - withoutAnswer) * 1_000) / price.thousandTokensOutMicros),
  );
  // The parts are rounded up together, which may let one more token in.
  while (tokens < mostConsumed && costMicros(price, { ...worst, tokensOut: tokens + 1 }) <= leftMicros) tokens += 1;
  while (tokens > 0 && costMicros(price, { ...worst, tokensOut: tokens }) > leftMicros) tokens -= 1;
  return tokens;
}

const thousands = (count: number): number => Math.floor(count / 1_000);
const bounded = (count: number): number => Math.min(mostConsumed, Math.max(0, Math.ceil(count)));
