import { FirstLight1763900000001 } from './0001-first-light.js';
import { ReplicaLifecycle1763900000002 } from './0002-replica-lifecycle.js';
import { LanguageRecords1763900000003 } from './0003-language-records.js';
import { SecretHeaders1763900000004 } from './0004-secret-headers.js';
import { ArtifactTrust1763900000005 } from './0005-artifact-trust.js';
import { EndpointPolicies1763900000006 } from './0006-endpoint-policies.js';
import { Quarantine1763900000008 } from './0008-quarantine.js';
import { IdempotencyKeys1763900000013 } from './0013-idempotency-keys.js';
import { Identity1763900000009 } from './0009-identity.js';
import { RequestPartitions1763900000014 } from './0014-request-partitions.js';
import { Privacy1763900000015 } from './0015-privacy.js';
import { ApplicationWall1763900000017 } from './0017-application-wall.js';
import { AuditBlocks1763900000016 } from './0016-audit-blocks.js';
import { NewestFirst1763900000018 } from './0018-newest-first.js';
import { Limits1763900000010 } from './0010-limits.js';
import { Budgets1763900000011 } from './0011-budgets.js';
import { AuditChain1763900000012 } from './0012-audit-chain.js';
import { BudgetReaders1763900000019 } from './0019-budget-readers.js';

/** In order. Forward only, one concern each. */
export const migrations = [
  FirstLight1763900000001,
  ReplicaLifecycle1763900000002,
  LanguageRecords1763900000003,
  SecretHeaders1763900000004,
  ArtifactTrust1763900000005,
  EndpointPolicies1763900000006,
  Quarantine1763900000008,
  Identity1763900000009,
  Limits1763900000010,
  Budgets1763900000011,
  AuditChain1763900000012,
  IdempotencyKeys1763900000013,
  RequestPartitions1763900000014,
  Privacy1763900000015,
  ApplicationWall1763900000017,
  BudgetReaders1763900000019,
  AuditBlocks1763900000016,
  NewestFirst1763900000018,
];
