import type { Admission, Budgets, Principal } from '#libs/access';
import type { SubjectPseudonyms } from '#libs/audit';
import type { LanguageEnd, LanguageExchange, LanguageService } from '#libs/inference';
import { sluiceError } from '#libs/kernel';
import type { FastifyInstance, FastifyReply, FastifyRequest, onRequestHookHandler } from 'fastify';
import { randomUUID } from 'node:crypto';
import { sayLimits, type Admissions } from '../http/admissions.js';
import { holderOf, subjectHeader } from '../http/request-holder.js';
import { whenAdmitted } from '../http/gatekeeper.js';
import { whenKnown } from '../http/when-known.js';
import { hasKeyInQuery } from '../http/key-in-query.js';
import { BodyReader } from '../inference/oip-body.js';
import { callerOf } from '../inference/oip-caller.js';
import { isObject, refusal, type JsonObject } from './field-rules.js';
import type { CheckedAsk } from './openai-request.js';
import { estimatedTokens } from './token-estimate.js';

/** What the routes to language models need of the API, whatever protocol they speak. */
export interface LanguageRoutesOptions {
  language: Pick<LanguageService, 'begin'>;
  /** Left out, no request is about a named person. */
  pseudonyms?: Pick<SubjectPseudonyms, 'of'> | undefined;
  /** Keeps the accounts of requests; left out: nothing is counted. */
  budgets?: Pick<Budgets, 'meter'> | undefined;
  /** Who calls, and may they? Throws when not. */
  authenticate(req: FastifyRequest, action: 'infer' | 'model.metadata'): Principal | Promise<Principal>;
  admissions: Pick<Admissions, 'enter'>;
  /** New inference is refused. */
  isDraining(): boolean;
  bodyLimitBytes: number;
  bodyTimeoutSeconds?: number;
}

declare module 'fastify' {
  interface FastifyRequest {
    /** Who calls a route to a language model. */
    languagePrincipal: Principal;
  }
}

const defaultBodyTimeoutSeconds = 30;
const uuidLength = 36;

/** Each answer names its request, by our name for it and by the one that OpenAI's SDKs read. */
export const nameRequest: onRequestHookHandler = (req, reply, done) => {
  const requestId = req.id.length === uuidLength ? req.id : randomUUID();
  reply.header('sluice-request-id', requestId).header('x-request-id', requestId);
  if (hasKeyInQuery(req.url)) return done(sluiceError('SLU_ACCESS_KEY_IN_QUERY'));
  return done();
};

export function identifier(
  { authenticate }: LanguageRoutesOptions,
  action: 'infer' | 'model.metadata',
): onRequestHookHandler {
  return (req, _reply, done) => {
    whenAdmitted(
      () => authenticate(req, action),
      (principal) => (req.languagePrincipal = principal),
      done,
    );
  };
}

export function drainRefuser({ isDraining }: LanguageRoutesOptions): onRequestHookHandler {
  return (_req, reply, done) => {
    if (!isDraining()) return done();
    reply.header('connection', 'close');
    return done(sluiceError('SLU_INFERENCE_DRAINING', {}, { retryAfterSeconds: 2 }));
  };
}

/** Reads JSON bodies in a scope of its own, plain or compressed, within limits of size and time. */
export function readBodies(scope: FastifyInstance, options: LanguageRoutesOptions): void {
  const { bodyLimitBytes: limitBytes, bodyTimeoutSeconds: timeoutSeconds = defaultBodyTimeoutSeconds } = options;
  const bodies = new BodyReader({ limitBytes, timeoutSeconds });
  scope.addHook('onClose', async () => bodies[Symbol.dispose]());
  scope.removeAllContentTypeParsers();
  scope.addContentTypeParser('application/json', bodies.json);
  scope.addContentTypeParser('*', bodies.other);
  if (!scope.hasRequestDecorator('bodyBytes')) scope.decorateRequest('bodyBytes', 0);
  // Null for the start, as Fastify wants it for what is set per request.
  scope.decorateRequest('languagePrincipal', null as unknown as Principal);
}

/** Goes on with a checked request once its caller's limits let it in. Its slots are held until the exchange has ended. */
export function admitLanguage(
  { admissions }: LanguageRoutesOptions,
  req: FastifyRequest,
  reply: FastifyReply,
  checked: CheckedAsk,
  { isOpenAi, admitted, refused }: AdmittedLanguage,
): void {
  const { endpoint, isStream } = checked;
  const requestId = reply.getHeader('sluice-request-id') as string;
  whenKnown(
    () => admissions.enter(req.languagePrincipal, requestId, { endpoint, isStream, tokens: estimatedTokens(checked) }),
    (admission) => {
      sayLimits(reply, admission, isOpenAi);
      admitted(admission);
    },
    (failure) => {
      sayLimits(reply, failure, isOpenAi);
      refused(failure);
    },
  );
}

export interface AdmittedLanguage {
  /** The protocol's callers know limits by OpenAI's headers as well. */
  isOpenAi: boolean;
  admitted(admission: Admission): void;
  refused(failure: unknown): void;
}

/** Begins to answer an admitted request, and writes the headers that are known at once. */
export function beginExchange(
  { language, budgets, pseudonyms }: Pick<LanguageRoutesOptions, 'language' | 'budgets' | 'pseudonyms'>,
  req: FastifyRequest,
  reply: FastifyReply,
  checked: CheckedAsk,
  admission: Admission,
): LanguageExchange {
  const { headers } = req;
  const { user, safety_identifier: safetyId } = checked.body;
  const requestId = reply.getHeader('sluice-request-id') as string;
  const exchange = language.begin({
    ...checked,
    bytesIn: req.bodyBytes,
    requestId,
    stickyKey: (headers['sluice-sticky-key'] as string | undefined) ?? (typeof user === 'string' ? user : undefined),
    keyId: req.languagePrincipal.keyId,
    holder: holderOf(
      req.languagePrincipal,
      pseudonyms,
      headers[subjectHeader],
      safetyId || undefined,
      user || undefined,
    ),
    visible: req.languagePrincipal.endpoints,
    traceparent: headers['traceparent'] as string | undefined,
    caller: callerOf(req.raw.socket),
    onEnded: (end) => settle(admission, end),
    meter: budgets?.meter(req.languagePrincipal, requestId),
  });
  const { traceparent, version, arm } = exchange;
  reply.header('traceparent', traceparent);
  if (version !== undefined) reply.header('sluice-model-version', version).header('sluice-arm', arm);
  return exchange;
}

/**
 * Makes something of a whole answer. What a model server sent must not come into the log with an error of ours, and a
 * parser's error quotes it. @throws SLU_INFERENCE_UPSTREAM
 */
export function madeOf<T>(answer: string, endpoint: string, make: (answer: string) => T): T {
  try {
    return make(answer);
  } catch {
    throw sluiceError('SLU_INFERENCE_UPSTREAM', { endpoint, problem: 'it sent an answer that cannot be read' });
  }
}

export function bodyOf({ body }: FastifyRequest): JsonObject {
  if (isObject(body) && Object.getPrototypeOf(body) === Object.prototype) return body;
  throw refusal('body', 'must be a JSON object');
}

/** What never came to a model server used nothing; what was cut off there used what nobody can tell any more. */
function settle(admission: Admission, { usage, error, wasAsked }: LanguageEnd): void {
  if (error !== undefined && !wasAsked) admission.spentTokens(0);
  else admission.spentUsage(usage);
  admission.release();
}
