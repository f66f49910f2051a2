import { namePattern } from '#libs/kernel';
import { z } from 'zod';
import { evaluationGateSchema, gateMiss, type Evaluated } from './evaluation-gate.js';
import type { SignatureView } from '../models/model-signatures.js';

const identity = z.strictObject({
  issuer: z.string().min(1).max(512).describe('the OpenID provider, as the certificate names it'),
  subject: z
    .string()
    .min(2)
    .max(512)
    .describe('an e-mail address or the URI of a workflow; a * at the end stands for any rest'),
});

const signaturePolicy = z.strictObject({
  unsigned: z
    .enum(['refused', 'warned', 'allowed'])
    .default('allowed')
    .describe('what happens to a version without a signature that counts'),
  keys: z
    .array(z.string().regex(namePattern, 'must be lower-case letters, digits, - and _'))
    .min(1)
    .max(64)
    .optional()
    .describe('ids of the Ed25519 keys that count; by default every one'),
  identities: z.array(identity).max(64).default([]).describe('signers of Sigstore bundles that count; by default none'),
});

/** What an endpoint asks of a version before it gives it traffic. */
export const endpointPolicySchema = z.strictObject({
  signatures: signaturePolicy.prefault({}),
  evaluation: z.array(evaluationGateSchema).max(64).default([]),
});
export type EndpointPolicy = z.infer<typeof endpointPolicySchema>;

/** One thing about a version that the policy does not accept. */
export type PolicyMiss =
  | { kind: 'signature'; severity: 'warned' | 'refused'; problem: string; isRevoked: boolean }
  | { kind: 'evaluation'; severity: 'refused'; metric: string; wanted: string; got: string };

export interface Candidate extends Evaluated {
  signatures: readonly SignatureView[];
}

/** A pure verdict. @param live the version that it is to take traffic from; undefined when there is none */
export function policyMisses(policy: EndpointPolicy, candidate: Candidate, live: Evaluated | undefined): PolicyMiss[] {
  const misses: PolicyMiss[] = [];
  const unsigned = signatureMiss(policy.signatures, candidate.signatures);
  if (unsigned !== undefined) misses.push(unsigned);
  for (const gate of policy.evaluation) {
    const miss = gateMiss(gate, candidate, live);
    if (miss !== undefined) misses.push({ kind: 'evaluation', severity: 'refused', ...miss });
  }
  return misses;
}

type SignaturePolicy = EndpointPolicy['signatures'];

function signatureMiss(policy: SignaturePolicy, signatures: readonly SignatureView[]): PolicyMiss | undefined {
  if (policy.unsigned === 'allowed') return undefined;
  const problems = signatures.map((signature) => signature.problem ?? strangerProblem(policy, signature));
  if (problems.includes(undefined)) return undefined;
  return {
    kind: 'signature',
    severity: policy.unsigned,
    problem: problems.length === 0 ? 'it has no signature' : `none of its signatures counts: ${problems.join('; ')}`,
    isRevoked: signatures.some(({ state }) => state === 'revoked-key'),
  };
}

function strangerProblem({ keys, identities }: SignaturePolicy, signature: SignatureView): string | undefined {
  const { keyId, issuer, subject } = signature;
  if (keyId !== null)
    return keys === undefined || keys.includes(keyId) ? undefined : `key ${keyId} is none of the endpoint's`;
  const isKnown = identities.some(
    (wanted) => wanted.issuer === issuer && subject !== null && isSubject(wanted.subject, subject),
  );
  return isKnown
    ? undefined
    : `${subject ?? 'the signer'} of ${issuer ?? 'an unknown issuer'} is none of the endpoint's identities`;
}

const isSubject = (wanted: string, subject: string): boolean =>
  wanted.endsWith('*') ? subject.startsWith(wanted.slice(0, -1)) : subject === wanted;

export function missText(miss: PolicyMiss): string {
  return miss.kind === 'signature' ? miss.problem : `metric ${miss.metric}: wanted ${miss.wanted}, got ${miss.got}`;
}
