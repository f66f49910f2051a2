import { isSluiceError, secondsToMs, sluiceError, type Clock } from '#libs/kernel';
import { errors, jwtVerify, type JWTPayload } from 'jose';
import type { IssuerKeys } from './issuer-keys.js';

export interface TokenCheckSettings {
  issuer: string;
  /** The token has to be meant for one of these. */
  audiences: readonly string[];
  /** Asymmetric ones alone: with another kind the public key would be the secret. */
  algorithms: readonly string[];
  clockSkewSeconds: number;
  clock: Clock;
  keys: Pick<IssuerKeys, 'keyFor'>;
}

export type CheckedClaims = JWTPayload & { sub: string; exp: number };

const longestSubject = 255;

/** Checks signature, issuer, audience and times of a token. @throws SLU_ACCESS_TOKEN_INVALID, SLU_ACCESS_ISSUER_DOWN */
export async function checkedClaims(token: string, settings: TokenCheckSettings): Promise<CheckedClaims> {
  const { issuer, audiences, algorithms, clockSkewSeconds, clock, keys } = settings;
  const now = clock.now();
  let payload: JWTPayload;
  try {
    ({ payload } = await jwtVerify(token, (header, jws) => keys.keyFor(header, jws), {
      issuer,
      audience: [...audiences],
      algorithms: [...algorithms],
      clockTolerance: clockSkewSeconds,
      currentDate: now,
      requiredClaims: ['sub', 'exp'],
    }));
  } catch (failure) {
    if (isSluiceError(failure)) throw failure;
    throw invalid(problemOf(failure), failure);
  }
  const { sub, iat } = payload;
  if (typeof sub !== 'string' || sub === '' || sub.length > longestSubject) throw invalid('sub is not a name');
  if (iat !== undefined && secondsToMs(iat - clockSkewSeconds) > now.getTime()) throw invalid('iat lies in the future');
  return payload as CheckedClaims;
}

export const invalid = (problem: string, cause?: unknown): Error =>
  sluiceError('SLU_ACCESS_TOKEN_INVALID', { problem }, cause === undefined ? {} : { cause });

// Jose looks at the signature first: whoever has not got one learns nothing about what else would be wrong.
function problemOf(failure: unknown): string {
  if (failure instanceof errors.JWTExpired) return 'it has expired';
  if (failure instanceof errors.JWTClaimValidationFailed) {
    const { claim, reason } = failure;
    if (reason === 'missing') return `${claim} is missing`;
    return claim === 'nbf' ? 'it is not valid yet' : `${claim} is not what is wanted here`;
  }
  if (failure instanceof errors.JOSEAlgNotAllowed) return 'its algorithm is not allowed here';
  if (failure instanceof errors.JWSSignatureVerificationFailed) return 'its signature is wrong';
  if (failure instanceof errors.JWKSNoMatchingKey) return 'the issuer has no key that fits it';
  if (failure instanceof errors.JWKSMultipleMatchingKeys) return 'it does not say with which key it is signed';
  return 'it cannot be read';
}
