import type { Admission } from '#libs/access';
import { TextGates } from '#libs/safety';
import type { FastifyInstance, FastifyReply } from 'fastify';
import { setImmediate } from 'node:timers/promises';
import { sayLimits } from '../http/admissions.js';
import { bodyOf, drainRefuser, identifier, type LanguageRoutesOptions } from './language-request.js';
import { checkedModeration, type ModerationAsk } from './moderation-request.js';
import { moderationResult } from './moderation-result.js';

/** What stands in the answers, and in the rules about limits where a model would stand. */
const moderationModel = 'sluice-safety';
const charactersPerToken = 4;

/** `POST /v1/moderations`: the safety gates over texts, in OpenAI's shape. Nothing of the texts is kept. */
export function moderationRoute(scope: FastifyInstance, options: LanguageRoutesOptions): void {
  const gates = new TextGates();
  const onRequest = [identifier(options, 'infer'), drainRefuser(options)];
  scope.post('/moderations', { onRequest }, async (req, reply) => {
    const ask = checkedModeration(bodyOf(req));
    const requestId = reply.getHeader('sluice-request-id') as string;
    const tokens = Math.ceil(ask.texts.reduce((sum, { length }) => sum + length, 0) / charactersPerToken);
    const admission = await admitted(reply, () =>
      options.admissions.enter(req.languagePrincipal, requestId, {
        endpoint: moderationModel,
        isStream: false,
        tokens,
      }),
    );
    try {
      return { id: `modr-${requestId}`, model: moderationModel, results: await judged(gates, ask) };
    } finally {
      admission.release();
    }
  });
}

async function judged(gates: TextGates, { texts, channel }: ModerationAsk): Promise<object[]> {
  const results: object[] = [];
  for (const text of texts) {
    // Many texts do not keep other requests waiting for all of them.
    if (results.length > 0) await setImmediate();
    results.push(moderationResult(gates.judge(text), channel));
  }
  return results;
}

async function admitted(reply: FastifyReply, enter: () => Admission | Promise<Admission>): Promise<Admission> {
  try {
    const admission = await enter();
    sayLimits(reply, admission, true);
    return admission;
  } catch (failure) {
    sayLimits(reply, failure, true);
    throw failure;
  }
}
