export { DataKeys, type SealedContent } from './data-keys.js';
export type { EnvelopeBinding } from './envelope-cipher.js';
export { certificateKey, MasterKeys, SubjectPseudonyms } from './master-keys.js';
