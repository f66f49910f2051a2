export { DataKeys, type SealedContent } from './data-keys.js';
export { openContent, sealContent, type EnvelopeBinding } from './envelope-cipher.js';
export { certificateKey, MasterKeys, SubjectPseudonyms } from './master-keys.js';
