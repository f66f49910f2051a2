import { actorOf, requirePermit, type Action, type KeyRing, type Principal } from '#libs/access';
import { isSluiceError } from '#libs/kernel';
import type { RefusalLog } from './refusal-log.js';

/** What the gate needs of a request, whatever protocol it came by. */
export interface AdmittedRequest {
  readonly id: string;
  readonly headers: { readonly authorization?: string | undefined };
}

/** Lets a request in or not: who calls, and may they? The one gate for every protocol. */
export class Gatekeeper {
  constructor(
    private readonly keys: Pick<KeyRing, 'authenticate'>,
    private readonly refusals: Pick<RefusalLog, 'note'>,
  ) {}

  /** @throws SLU_ACCESS_KEY_MISSING, SLU_ACCESS_KEY_INVALID, SLU_ACCESS_FORBIDDEN */
  admit(req: AdmittedRequest, action: Action, authorization = req.headers.authorization): Principal {
    const principal = this.identify(req, authorization, `action:${action}`);
    try {
      requirePermit(principal, action);
    } catch (failure) {
      this.note(req, failure, actorOf(principal), `action:${action}`, principal.tenantId);
      throw failure;
    }
    return principal;
  }

  /** Asks only who calls. */
  identify(req: AdmittedRequest, authorization = req.headers.authorization, resource = 'route:unknown'): Principal {
    try {
      return this.keys.authenticate(authorization);
    } catch (failure) {
      this.note(req, failure, 'anonymous', resource);
      throw failure;
    }
  }

  private note(req: AdmittedRequest, failure: unknown, actor: string, resource: string, tenantId?: string): void {
    if (!isSluiceError(failure) || (failure.status !== 401 && failure.status !== 403)) return;
    this.refusals.note({ actor, resource, code: failure.code, requestId: req.id, tenantId });
  }
}

/** The password of HTTP Basic, as the bearer key that it is. */
export function basicAsBearer(header: string | undefined): string | undefined {
  const encoded = /^Basic +([A-Za-z0-9+/=]+)$/i.exec(header ?? '')?.[1];
  if (encoded === undefined) return header;
  const pair = Buffer.from(encoded, 'base64').toString('utf8');
  return `Bearer ${pair.slice(pair.indexOf(':') + 1)}`;
}
