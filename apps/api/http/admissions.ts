import { actorOf, isLimitRefusal, type Admission, type LimitAsk, type Limits, type Principal } from '#libs/access';
import type { FastifyReply } from 'fastify';
import type { ServerResponse } from 'node:http';
import type { RefusalLog } from './refusal-log.js';

/** Lets a known caller use a model now, or not: the one place for every inference protocol, behind the gatekeeper. */
export class Admissions {
  constructor(
    private readonly limits: Pick<Limits, 'admit'>,
    private readonly refusals: Pick<RefusalLog, 'note'>,
  ) {}

  /**
   * There at once when limits are counted in process. Whoever gets it sees to its release.
   * @throws LimitRefusal, SLU_ACCESS_TIER_MISSING, SLU_ACCESS_LIMITS_DOWN
   */
  enter(principal: Principal, requestId: string, ask: LimitAsk): Admission | Promise<Admission> {
    try {
      const admission = this.limits.admit(principal, ask);
      return admission instanceof Promise
        ? admission.catch((failure: unknown) => this.refused(principal, requestId, failure))
        : admission;
    } catch (failure) {
      return this.refused(principal, requestId, failure);
    }
  }

  private refused(principal: Principal, requestId: string, failure: unknown): never {
    if (isLimitRefusal(failure)) {
      const { scope, name } = failure.limit;
      const resource = `limit:${scope}/${name}`;
      this.refusals.note({
        actor: actorOf(principal),
        resource,
        code: failure.code,
        requestId,
        tenantId: principal.tenantId,
      });
    }
    throw failure;
  }
}

/** What an answer says of the caller's limits, be it let in or refused. */
export function sayLimits(reply: FastifyReply, said: unknown, isOpenAi = false): void {
  const limits = said as Partial<Pick<Admission, 'headers' | 'openAiHeaders'>>;
  for (const [name, value] of limits.headers ?? []) reply.header(name, value);
  // Made when they are read: not for those who do not send them.
  if (isOpenAi) for (const [name, value] of limits.openAiHeaders ?? []) reply.header(name, value);
}

const admissionOf = Symbol('admission');
type AdmittedResponse = ServerResponse & { [admissionOf]?: Admission };

/** Releases the admission when the answer has gone out, or its caller has gone. */
export function releaseWithAnswer(reply: FastifyReply, admission: Admission): void {
  const raw = reply.raw as AdmittedResponse;
  // A caller that hung up while the store was asked closes nothing any more.
  if (raw.destroyed) return admission.release();
  raw[admissionOf] = admission;
  raw.on('close', releaseHeld);
}

function releaseHeld(this: AdmittedResponse): void {
  this[admissionOf]?.release();
}
