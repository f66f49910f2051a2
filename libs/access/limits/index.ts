export { Admission } from './admission.js';
export {
  allowanceSchema,
  limitScopes,
  tierLimitsSchema,
  type Allowance,
  type LimitScope,
  type TierLimits,
} from './allowance.js';
export type { WithoutRedis } from './guarded-limit-store.js';
export { LimitBook } from './limit-book.js';
export { LimitMetrics } from './limit-metrics.js';
export { LimitOverrides, type LimitOverrideView } from './limit-overrides.js';
export { limitStores, type LimitStores } from './limit-stores.js';
export { Limiting } from './limiting.js';
export { isLimitRefusal, Limits, type LimitAsk, type LimitedCaller } from './limits.js';
export { Tiers, type LimitChange, type TierView } from './tiers.js';
