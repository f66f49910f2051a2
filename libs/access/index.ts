export { ensureAdminKey, type AdminKeySettings } from './admin-key.js';
export { ApiKeys, type ApiKeysSettings, type ApiKeyView, type NewApiKey } from './api-keys.js';
export { KeyRing, type KeyRingSettings } from './key-ring.js';
export { Pepper } from './key-secret.js';
export { SecretSeal, type SealedText } from './secret-seal.js';
export { permits, requirePermit, type Action } from './permit-table.js';
export { actorOf, defaultProjectId, defaultTenantId, roles, type Principal, type Role } from './principal.js';
export * from './limits/index.js';
