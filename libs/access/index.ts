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
export { KeyUses } from './key-uses.js';
export { Pepper } from './key-secret.js';
export { SecretSeal, type SealedText } from './secret-seal.js';
export { type Action, permits, permitTable, requirePermit, scopeOf } from './permit-table.js';
export { requireReach } from './reach.js';
export { actorOf, defaultProjectId, defaultTenantId, roles, type Principal, type Role } from './principal.js';
export * from './limits/index.js';
