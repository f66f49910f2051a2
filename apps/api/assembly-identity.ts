import {
  ApiKeys,
  ClientAddresses,
  Directory,
  Identities,
  isRole,
  IssuerKeys,
  KeyRing,
  KeyUses,
  PeopleBook,
  Pepper,
  TokenIdentities,
  type Role,
} from '#libs/access';
import { sluiceError, systemClock as clock } from '#libs/kernel';
import { required, type Logger, type SluiceConfig } from '#libs/platform';
import type { Database } from '#libs/store';
import type { Authenticator } from './http/gatekeeper.js';

export interface IdentityParts {
  keyRing: KeyRing;
  apiKeys: ApiKeys;
  directory: Directory;
  identities: Authenticator;
  /** There when an issuer is trusted. */
  tokens: TokenIdentities | undefined;
  addresses: ClientAddresses;
}

/** Who calls, and whose they are: everything that knows keys, people and tenants. */
export function assembleIdentity(
  config: SluiceConfig,
  database: Database,
  log: Logger,
  stack: AsyncDisposableStack,
): IdentityParts {
  const pepper = new Pepper(required(config.masterKey, 'SLUICE_MASTER_KEY'));
  const keyRing = stack.use(
    new KeyRing({
      database,
      pepper,
      onProblem: (err) => log.warn({ err }, 'API keys cannot be read; those known stay good for now'),
    }),
  );
  stack.use(
    new KeyUses({
      database,
      keyRing,
      onProblem: (err) => log.warn({ err }, 'when keys were last used could not be written; it is tried again'),
    }),
  );
  const tokens = tokenIdentities(config.oidc, database, log);
  const afterChange = async (id: string): Promise<void> => {
    tokens?.forget();
    await keyRing.refresh(id);
  };
  return {
    keyRing,
    apiKeys: new ApiKeys({ database, pepper, afterChange }),
    directory: new Directory({ database, afterChange }),
    identities: new Identities(keyRing, tokens),
    tokens,
    addresses: new ClientAddresses(config.trustedProxies),
  };
}

function tokenIdentities(config: SluiceConfig['oidc'], database: Database, log: Logger): TokenIdentities | undefined {
  if (config === undefined) return undefined;
  const { issuer, audiences, jwksUri, algorithms, clockSkewSeconds, staleKeysSeconds, rolesClaim, tenantClaim } =
    config;
  const onProblem = (err: unknown): void =>
    log.warn({ err }, 'the keys of the token issuer cannot be read; those known stay good for now');
  return new TokenIdentities({
    issuer,
    audiences,
    algorithms,
    clockSkewSeconds,
    clock,
    keys: new IssuerKeys({ issuer, jwksUri, clock, staleSeconds: staleKeysSeconds, onProblem }),
    people: new PeopleBook({ database, clock }),
    mapping: { rolesClaim, tenantClaim, roleMap: roleMapOf(config.roleMap) },
  });
}

/** @throws SLU_PLATFORM_SETTING */
function roleMapOf(words: ReadonlyMap<string, string> | undefined): ReadonlyMap<string, Role> | undefined {
  if (words === undefined) return undefined;
  return new Map(
    [...words].map(([value, role]) => {
      if (isRole(role)) return [value, role];
      throw sluiceError('SLU_PLATFORM_SETTING', { name: 'SLUICE_OIDC_ROLE_MAP', problem: `there is no role ${role}` });
    }),
  );
}
