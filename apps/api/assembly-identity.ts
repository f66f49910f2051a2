import { ApiKeys, ClientAddresses, Directory, KeyRing, KeyUses, Pepper } from '#libs/access';
import { required, type Logger, type SluiceConfig } from '#libs/platform';
import type { Database } from '#libs/store';
import type { Authenticator } from './http/gatekeeper.js';

export interface IdentityParts {
  keyRing: KeyRing;
  apiKeys: ApiKeys;
  directory: Directory;
  identities: Authenticator;
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
  const afterChange = (id: string): Promise<void> => keyRing.refresh(id);
  return {
    keyRing,
    apiKeys: new ApiKeys({ database, pepper, afterChange }),
    directory: new Directory({ database, afterChange }),
    identities: keyRing,
    addresses: new ClientAddresses(config.trustedProxies),
  };
}
