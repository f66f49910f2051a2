import { shownName } from '../../artifacts/artifact-refusal.js';
import { closed, sourceFailed } from '../../artifacts/artifact-sources.js';
import type { OciCredentials } from './oci-credentials.js';
import type { OciHttp } from './oci-http.js';
import type { OciReference } from './oci-reference.js';

const tokenLimitBytes = 64 * 1_024;

/**
 * Answers a registry's challenge, https://distribution.github.io/distribution/spec/auth/token/.
 * @returns the `authorization` header to try again with
 * @throws SLU_ARTIFACT_SOURCE_FAILED, SLU_ARTIFACT_SOURCE_CLOSED
 */
export async function authorizationFor(
  challenge: string,
  { registry, repository }: OciReference,
  { http, credentials, signal }: { http: OciHttp; credentials: OciCredentials; signal: AbortSignal },
): Promise<string> {
  const pair = credentials.get(registry);
  if (/^basic\b/i.test(challenge)) {
    if (pair === undefined)
      throw sourceFailed(`${shownName(registry)} wants credentials and this server has none for it`);
    return `Basic ${pair}`;
  }
  const parameters = challengeParameters(challenge);
  const realm = parameters.get('realm');
  if (!/^bearer\b/i.test(challenge) || realm === undefined || !URL.canParse(realm))
    throw sourceFailed(`${shownName(registry)} asks for a kind of credentials that is not known`);
  const url = new URL(realm);
  // As with a redirect: what is asked over TLS must not send us, or the password, to where there is none.
  if (http.origin(registry).startsWith('https:') && url.protocol !== 'https:')
    throw closed(`${shownName(registry)} gives its tokens at a place without TLS`);
  const service = parameters.get('service');
  if (service !== undefined) url.searchParams.set('service', service);
  // Never the scope that the registry names: only reading this one repository.
  url.searchParams.set('scope', `repository:${repository}:pull`);
  const answer = await http.get(url.href, pair === undefined ? {} : { authorization: `Basic ${pair}` }, signal);
  const body = await http.small(answer, tokenLimitBytes);
  if (answer.status !== 200) throw sourceFailed(`${shownName(registry)} gives no token (${answer.status})`);
  const token = tokenIn(body);
  if (token === undefined) throw sourceFailed(`${shownName(registry)} gives no token`);
  return `Bearer ${token}`;
}

function challengeParameters(challenge: string): Map<string, string> {
  const found = new Map<string, string>();
  for (const [, key = '', quoted, plain = ''] of challenge.matchAll(
    /([a-z_]+)=(?:"([^"]{0,1000})"|([^\s",]{1,1000}))/gi,
  ))
    found.set(key.toLowerCase(), quoted ?? plain);
  return found;
}

function tokenIn(body: Buffer): string | undefined {
  try {
    const { token, access_token: accessToken } = JSON.parse(body.toString('utf8')) as Record<string, unknown>;
    const value = token ?? accessToken;
    return typeof value === 'string' && /^[\x21-\x7e]{1,16384}$/.test(value) ? value : undefined;
  } catch {
    return undefined;
  }
}
