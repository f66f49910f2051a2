import type { KeyRing } from './key-ring.js';
import type { TokenIdentities } from './oidc/token-identities.js';
import type { Principal } from './principal.js';

/** `Bearer ` and a key is shorter, a signed token always longer: one look at the length leaves keys as fast as they were. */
const longestKeyHeader = 100;
const tokenPattern = /^Bearer +([\w-]+\.[\w-]+\.[\w-]*)$/i;

/** Who calls, by whatever they show: an API key, or a token where an issuer is trusted. */
export class Identities {
  constructor(
    private readonly keys: Pick<KeyRing, 'authenticate'>,
    private readonly tokens?: Pick<TokenIdentities, 'authenticate'>,
  ) {}

  /** @throws SLU_ACCESS_KEY_*; what is wrong with a token comes as a rejection */
  authenticate(header: string | undefined): Principal | Promise<Principal> {
    if (this.tokens === undefined || header === undefined || header.length <= longestKeyHeader)
      return this.keys.authenticate(header);
    const token = tokenPattern.exec(header)?.[1];
    return token === undefined ? this.keys.authenticate(header) : this.tokens.authenticate(token);
  }
}
