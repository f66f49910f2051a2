import { FirstLight1763900000001 } from './0001-first-light.js';
import { ReplicaLifecycle1763900000002 } from './0002-replica-lifecycle.js';
import { LanguageRecords1763900000003 } from './0003-language-records.js';
import { SecretHeaders1763900000004 } from './0004-secret-headers.js';
import { Quarantine1763900000008 } from './0008-quarantine.js';

/** In order. Forward only, one concern each. */
export const migrations = [
  FirstLight1763900000001,
  ReplicaLifecycle1763900000002,
  LanguageRecords1763900000003,
  SecretHeaders1763900000004,
  Quarantine1763900000008,
];
