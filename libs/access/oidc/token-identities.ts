import { secondsToMs } from '#libs/kernel';
import type { Change, ChangeFeedListener } from '#libs/store';
import type { Principal } from '../principal.js';
import type { PeopleBook } from './people-book.js';
import { checkedClaims, type TokenCheckSettings } from './token-check.js';
import { personNameOf, rolesOf, tenantNameOf, type ClaimMapping } from './token-claims.js';

export interface TokenIdentitiesSettings extends TokenCheckSettings {
  mapping: ClaimMapping;
  people: Pick<PeopleBook, 'find' | 'forget'>;
  /** For so long a token that was found good is not checked again. */
  rememberSeconds?: number | undefined;
}

interface KnownToken {
  principal: Principal;
  expiresAtMs: number;
  goodUntilMs: number;
}

const defaultRememberSeconds = 60;
const knownTokensLimit = 10_000;
const peopleTables: readonly Change['table'][] = ['people', 'tenants', 'projects'];

/** Who calls, by the tokens of the OpenID Connect issuer. */
export class TokenIdentities implements ChangeFeedListener {
  private readonly known = new Map<string, KnownToken>();
  private readonly checking = new Map<string, Promise<Principal>>();
  private changes = 0;

  constructor(private readonly settings: TokenIdentitiesSettings) {}

  /** At once for a token that was just seen. @throws SLU_ACCESS_TOKEN_INVALID, SLU_ACCESS_ISSUER_DOWN, as a rejection */
  authenticate(token: string): Principal | Promise<Principal> {
    const { clock } = this.settings;
    const known = this.known.get(token);
    if (known !== undefined) {
      if (clock.now().getTime() < known.expiresAtMs && clock.monotonicMs() < known.goodUntilMs) return known.principal;
      this.known.delete(token);
    }
    let checking = this.checking.get(token);
    if (checking === undefined) {
      checking = this.check(token).finally(() => this.checking.delete(token));
      this.checking.set(token, checking);
    }
    return checking;
  }

  onChange({ table }: Change): void {
    if (peopleTables.includes(table)) this.forget();
  }

  onConnected(): void {
    this.forget();
  }

  onLost(): void {
    // What is known ends by itself, within a minute.
  }

  /** Somebody may have been suspended: everybody is looked up again. */
  forget(): void {
    this.changes += 1;
    this.known.clear();
    this.settings.people.forget();
  }

  private async check(token: string): Promise<Principal> {
    const { settings, changes } = this;
    const claims = await checkedClaims(token, settings);
    const person = await settings.people.find({
      issuer: settings.issuer,
      subject: claims.sub,
      name: personNameOf(claims),
      tenantName: tenantNameOf(claims, settings.mapping),
    });
    const { id, name, tenantId, projectId, tier } = person;
    const roles = rolesOf(claims, settings.mapping);
    const owner = { tenantId, projectId, tier, personId: id };
    const principal = Object.freeze({ kind: 'token' as const, id, keyId: id, name, roles, ...owner });
    // What changed in between was perhaps not seen.
    if (changes === this.changes) this.remember(token, principal, claims.exp);
    return principal;
  }

  private remember(token: string, principal: Principal, expiresAtSeconds: number): void {
    const { clock, clockSkewSeconds, rememberSeconds = defaultRememberSeconds } = this.settings;
    if (this.known.size >= knownTokensLimit) this.known.clear();
    this.known.set(token, {
      principal,
      expiresAtMs: secondsToMs(expiresAtSeconds + clockSkewSeconds),
      goodUntilMs: clock.monotonicMs() + secondsToMs(rememberSeconds),
    });
  }
}
