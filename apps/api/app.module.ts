import { ApiKeys, Directory, LimitOverrides, Tiers, type Limiting } from '#libs/access';
import { Auditing } from '#libs/audit';
import { Rollouts } from '#libs/control';
import {
  Endpoints,
  ModelLineage,
  ModelRegistry,
  ModelSignatures,
  QuarantineLedger,
  ReplicaSets,
  SecretHeaders,
  SigningKeys,
} from '#libs/inference';
import { Module, type DynamicModule } from '@nestjs/common';
import { APP_GUARD } from '@nestjs/core';
import { ThrottlerModule } from '@nestjs/throttler';
import { AuditController } from './audit/audit.controller.js';
import { HoldsController } from './audit/holds.controller.js';
import { BudgetsController } from './budgets/budgets.controller.js';
import { PricesController } from './budgets/prices.controller.js';
import { Spending } from './budgets/spending.js';
import { UsageController } from './budgets/usage.controller.js';
import { EndpointsController } from './endpoints/endpoints.controller.js';
import { PoliciesController } from './endpoints/policies.controller.js';
import { limitingToken, throttlerOptions, TierThrottler } from './http/tier-throttler.js';
import { PeopleController } from './identity/people.controller.js';
import { ProjectsController } from './identity/projects.controller.js';
import { ServiceAccountsController } from './identity/service-accounts.controller.js';
import { TenantsController } from './identity/tenants.controller.js';
import { KeysController } from './keys/keys.controller.js';
import { LimitsController } from './limits/limits.controller.js';
import { TiersController } from './limits/tiers.controller.js';
import { LineageController } from './models/lineage.controller.js';
import { ModelsController } from './models/models.controller.js';
import { SignaturesController } from './models/signatures.controller.js';
import { SigningKeysController } from './models/signing-keys.controller.js';
import { SecretHeadersController } from './models/secret-headers.controller.js';
import type { PrivacyParts } from './assembly-privacy.js';
import { privacyControllers, privacyProviders } from './privacy/privacy-providers.js';
import { QuarantineController } from './quarantine/quarantine.controller.js';
import { Reference, ReferenceController } from './reference/reference.controller.js';
import { ReplicasController } from './replicas/replicas.controller.js';
import { RolloutsController } from './rollouts/rollouts.controller.js';

export interface ManagementParts {
  registry: ModelRegistry;
  signatures: ModelSignatures;
  signingKeys: SigningKeys;
  lineage: ModelLineage;
  endpoints: Endpoints;
  replicaSets: ReplicaSets;
  secretHeaders: SecretHeaders;
  rollouts: Rollouts;
  quarantine: QuarantineLedger;
  apiKeys: ApiKeys;
  limiting: Limiting;
  directory: Directory;
  auditing: Auditing;
  spending: Spending;
  privacy: PrivacyParts;
}

@Module({
  controllers: [
    ModelsController,
    SignaturesController,
    SigningKeysController,
    LineageController,
    SecretHeadersController,
    EndpointsController,
    PoliciesController,
    RolloutsController,
    KeysController,
    TiersController,
    LimitsController,
    TenantsController,
    ProjectsController,
    PeopleController,
    ServiceAccountsController,
    ReplicasController,
    QuarantineController,
    AuditController,
    HoldsController,
    PricesController,
    BudgetsController,
    UsageController,
    ReferenceController,
    ...privacyControllers,
  ],
})
class AppModule {}

/** The management API. What it stands on is made before and handed in, so that a test can hand in something else. */
export function appModule(parts: ManagementParts, reference: Reference): DynamicModule {
  return {
    module: AppModule,
    imports: [ThrottlerModule.forRoot(throttlerOptions(parts.limiting))],
    providers: [
      { provide: limitingToken, useValue: parts.limiting },
      { provide: APP_GUARD, useClass: TierThrottler },
      { provide: Tiers, useValue: parts.limiting.tiers },
      { provide: LimitOverrides, useValue: parts.limiting.overrides },
      { provide: ModelRegistry, useValue: parts.registry },
      { provide: ModelSignatures, useValue: parts.signatures },
      { provide: SigningKeys, useValue: parts.signingKeys },
      { provide: ModelLineage, useValue: parts.lineage },
      { provide: Endpoints, useValue: parts.endpoints },
      { provide: ReplicaSets, useValue: parts.replicaSets },
      { provide: SecretHeaders, useValue: parts.secretHeaders },
      { provide: Rollouts, useValue: parts.rollouts },
      { provide: QuarantineLedger, useValue: parts.quarantine },
      { provide: Directory, useValue: parts.directory },
      { provide: ApiKeys, useValue: parts.apiKeys },
      { provide: Auditing, useValue: parts.auditing },
      { provide: Spending, useValue: parts.spending },
      { provide: Reference, useValue: reference },
      ...privacyProviders(parts.privacy),
    ],
  };
}
