export { ensureAdminKey, type AdminKeySettings } from './admin-key.js';
export {
  IdempotencyLedger,
  type IdempotencyClaim,
  type IdempotencyLedgerSettings,
  type KeptAnswer,
} from './idempotency/idempotency-ledger.js';
export { idempotencyKeyOf, type IdempotentRequest } from './idempotency/idempotent-request.js';
export { ApiKeys, type ApiKeysSettings, type KeyRotation, type NewApiKey } from './api-keys.js';
export type { ApiKeyView } from './api-key-view.js';
export { ClientAddresses, includesAddress, type RequestOrigin } from './client-address.js';
export type { DirectoryChange, DirectoryNoun, DirectoryViews } from './directory/directory-kind.js';
export { Directory } from './directory/directory.js';
export { KeyRing, type KeyRingSettings } from './key-ring.js';
export { Identities } from './identities.js';
export { IssuerKeys } from './oidc/issuer-keys.js';
export { PeopleBook } from './oidc/people-book.js';
export { TokenIdentities } from './oidc/token-identities.js';
export { KeyUses } from './key-uses.js';
export { Pepper } from './key-secret.js';
export { SecretSeal, type SealedText } from './secret-seal.js';
export { BudgetAlerts, type BudgetAlertsSettings } from './budgets/budget-alerts.js';
export { registerBudgetMetrics } from './budgets/budget-metrics.js';
export { BudgetRegister, type BudgetActor, type BudgetView } from './budgets/budget-register.js';
export { budgetPeriods, budgetUnits, mostLimitUnits, subjectKinds } from './budgets/budget.js';
export { Budgets, type BudgetsSettings } from './budgets/budgets.js';
export { PriceList, type PriceScope, type PriceView } from './budgets/price-list.js';
export type { RequestMeter, Used, WorstCase } from './budgets/request-meter.js';
export { usageGroups, type UsageGroup, type UsageSum } from './budgets/usage-days.js';
export { Usage } from './budgets/usage.js';
export { type Action, permits, permitTable, requirePermit, scopeOf } from './permit-table.js';
export { requireReach, tenantWithin } from './reach.js';
export * from './limits/index.js';
export { actorOf, defaultProjectId, defaultTenantId, isRole, roles, type Principal, type Role } from './principal.js';
