import {
  actorOf,
  ClientAddresses,
  includesAddress,
  requirePermit,
  type Action,
  type Principal,
  type RequestOrigin,
} from '#libs/access';
import { isSluiceError, sluiceError } from '#libs/kernel';
import type { RefusalLog } from './refusal-log.js';
import { whenKnown } from './when-known.js';

/** What the gate needs of a request, whatever protocol it came by. */
export interface AdmittedRequest {
  readonly id: string;
  readonly headers: {
    readonly authorization?: string | undefined;
    readonly 'x-forwarded-for'?: string | string[] | undefined;
  };
  /** Where the connection comes from. */
  readonly ip?: string | undefined;
}

/** Knows who calls: at once for a key and a token that was just seen, later for a token whose signature is to be checked. */
export interface Authenticator {
  authenticate(authorization: string | undefined): Principal | Promise<Principal>;
}

/** Lets a request in or not: who calls, and may they? The one gate for every protocol. */
export class Gatekeeper {
  constructor(
    private readonly identities: Authenticator,
    private readonly refusals: Pick<RefusalLog, 'note'>,
    private readonly addresses = new ClientAddresses(),
  ) {}

  /** @throws SLU_ACCESS_KEY_*, SLU_ACCESS_TOKEN_INVALID, SLU_ACCESS_NETWORK, SLU_ACCESS_FORBIDDEN, and the same as a rejection */
  admit(
    req: AdmittedRequest,
    action: Action,
    authorization = req.headers.authorization,
  ): Principal | Promise<Principal> {
    const principal = this.identify(req, authorization, `action:${action}`);
    if (principal instanceof Promise) return principal.then((known) => this.permit(req, known, action));
    return this.permit(req, principal, action);
  }

  /** Asks only who calls. */
  identify(
    req: AdmittedRequest,
    authorization = req.headers.authorization,
    resource = 'route:unknown',
  ): Principal | Promise<Principal> {
    try {
      const principal = this.identities.authenticate(authorization);
      if (!(principal instanceof Promise)) return this.placed(req, principal, resource);
      return principal.then(
        (known) => this.placed(req, known, resource),
        (failure: unknown) => this.refuse(req, failure, 'anonymous', resource),
      );
    } catch (failure) {
      return this.refuse(req, failure, 'anonymous', resource);
    }
  }

  private permit(req: AdmittedRequest, principal: Principal, action: Action): Principal {
    try {
      requirePermit(principal, action);
    } catch (failure) {
      this.refuse(req, failure, actorOf(principal), `action:${action}`, principal.tenantId);
    }
    return principal;
  }

  private placed(req: AdmittedRequest, principal: Principal, resource: string): Principal {
    if (principal.networks === undefined) return principal;
    const forwarded = req.headers['x-forwarded-for'];
    const origin: RequestOrigin = { address: req.ip, forwardedFor: [forwarded ?? []].flat().join(',') || undefined };
    if (includesAddress(principal.networks, this.addresses.of(origin))) return principal;
    return this.refuse(req, sluiceError('SLU_ACCESS_NETWORK'), actorOf(principal), resource, principal.tenantId);
  }

  private refuse(req: AdmittedRequest, failure: unknown, actor: string, resource: string, tenantId?: string): never {
    if (isSluiceError(failure) && (failure.status === 401 || failure.status === 403))
      this.refusals.note({ actor, resource, code: failure.code, requestId: req.id, tenantId });
    throw failure;
  }
}

/** Hands on who calls once it is known: at once where that takes no waiting, so that a key costs no turn of the event loop. */
export function whenAdmitted(
  admit: () => Principal | Promise<Principal>,
  use: (principal: Principal) => void,
  done: (failure?: Error) => void,
): void {
  whenKnown(
    admit,
    (principal) => {
      use(principal);
      done();
    },
    (failure) => done(failure as Error),
  );
}

/** The password of HTTP Basic, as the bearer key that it is. */
export function basicAsBearer(header: string | undefined): string | undefined {
  const encoded = /^Basic +([A-Za-z0-9+/=]+)$/i.exec(header ?? '')?.[1];
  if (encoded === undefined) return header;
  const pair = Buffer.from(encoded, 'base64').toString('utf8');
  return `Bearer ${pair.slice(pair.indexOf(':') + 1)}`;
}
