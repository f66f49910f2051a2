import { sluiceError } from '#libs/kernel';
import { z } from 'zod';

/** Whose tokens are trusted, and what their claims mean. */
export interface OidcConfig {
  issuer: string;
  audiences: string[];
  /** Unset: where the issuer's discovery document says. */
  jwksUri: string | undefined;
  algorithms: string[];
  clockSkewSeconds: number;
  /** For so long keys serve when the issuer cannot be reached. */
  staleKeysSeconds: number;
  rolesClaim: string;
  /** Value of the claim to role; unset: the values are names of roles. */
  roleMap: ReadonlyMap<string, string> | undefined;
  /** Unset: everybody is of the default tenant. */
  tenantClaim: string | undefined;
}

/** Asymmetric ones only: a shared secret is not a thing that an issuer publishes. */
const algorithms = /^(RS|PS|ES)(256|384|512)$|^EdDSA$|^Ed25519$/;
const words = (text: string): string[] => text.split(',').map((word) => word.trim());
const safeUrl = z.url({ protocol: /^https?$/ }).refine((text) => {
  const { protocol, hostname } = new URL(text);
  return protocol === 'https:' || ['localhost', '127.0.0.1', '[::1]'].includes(hostname);
}, 'must be https://, but for this machine');
const pair = /^[^=]+=[a-z-]+$/;

export const oidcVariables = {
  SLUICE_OIDC_ISSUER: safeUrl.optional(),
  SLUICE_OIDC_AUDIENCE: z.string().optional(),
  SLUICE_OIDC_JWKS_URI: safeUrl.optional(),
  SLUICE_OIDC_ALGORITHMS: z
    .string()
    .default('RS256,ES256,EdDSA')
    .refine(
      (text) => words(text).every((word) => algorithms.test(word)),
      'must be signatures with a public key, as RS256,ES256',
    ),
  SLUICE_OIDC_CLOCK_SKEW_SECONDS: z.coerce.number().int().min(0).max(300).default(30),
  SLUICE_OIDC_STALE_KEYS_SECONDS: z.coerce.number().int().min(60).max(86_400).default(3_600),
  SLUICE_OIDC_ROLES_CLAIM: z.string().default('roles'),
  SLUICE_OIDC_ROLE_MAP: z
    .string()
    .refine((text) => words(text).every((word) => pair.test(word)), 'must be value=role, separated by commas')
    .optional(),
  SLUICE_OIDC_TENANT_CLAIM: z.string().optional(),
};

type Values = z.infer<z.ZodObject<typeof oidcVariables>>;

/** @returns undefined when no issuer is trusted. @throws SLU_PLATFORM_SETTING when half of it is set */
export function oidcConfigOf(value: Values): OidcConfig | undefined {
  const { SLUICE_OIDC_ISSUER: issuer, SLUICE_OIDC_AUDIENCE: audience } = value;
  if (issuer === undefined && audience === undefined) {
    const left = Object.keys(oidcVariables).find(
      (name) => /JWKS_URI|ROLE_MAP|TENANT_CLAIM/.test(name) && value[name as keyof Values] !== undefined,
    );
    if (left === undefined) return undefined;
    throw sluiceError('SLU_PLATFORM_SETTING', { name: 'SLUICE_OIDC_ISSUER', problem: `must be set where ${left} is` });
  }
  // Without an audience each token of the issuer would do, also those that other services were given.
  if (issuer === undefined || audience === undefined) {
    const name = issuer === undefined ? 'SLUICE_OIDC_ISSUER' : 'SLUICE_OIDC_AUDIENCE';
    throw sluiceError('SLU_PLATFORM_SETTING', { name, problem: 'must be set: issuer and audience belong together' });
  }
  const roleMap = value.SLUICE_OIDC_ROLE_MAP;
  return {
    issuer,
    audiences: words(audience),
    jwksUri: value.SLUICE_OIDC_JWKS_URI,
    algorithms: words(value.SLUICE_OIDC_ALGORITHMS),
    clockSkewSeconds: value.SLUICE_OIDC_CLOCK_SKEW_SECONDS,
    staleKeysSeconds: value.SLUICE_OIDC_STALE_KEYS_SECONDS,
    rolesClaim: value.SLUICE_OIDC_ROLES_CLAIM,
    roleMap: roleMap === undefined ? undefined : new Map(words(roleMap).map((word) => halvesOf(word))),
    tenantClaim: value.SLUICE_OIDC_TENANT_CLAIM,
  };
}

function halvesOf(word: string): [string, string] {
  const at = word.lastIndexOf('=');
  return [word.slice(0, at), word.slice(at + 1)];
}
