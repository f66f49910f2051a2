import { sluiceError } from '#libs/kernel';
import { z } from 'zod';

const setting = 'SLUICE_OCI_AUTH';

const authFile = z.object({
  auths: z.record(
    z.string(),
    z.object({ auth: z.string().optional(), username: z.string().optional(), password: z.string().optional() }),
  ),
});

/** User name and password by registry, as base64 of `user:password`. */
export type OciCredentials = ReadonlyMap<string, string>;

/**
 * Reads credentials in the form of Docker's `config.json`, as CI systems hand it around:
 * `{"auths": {"registry.example": {"auth": "base64 of user:password"}}}`.
 * @throws SLU_PLATFORM_SETTING, never repeating what stands in it
 */
export function parseOciCredentials(source: string | undefined): OciCredentials {
  if (source === undefined) return new Map();
  let value: unknown;
  try {
    value = JSON.parse(source);
  } catch {
    throw sluiceError('SLU_PLATFORM_SETTING', { name: setting, problem: 'is not valid JSON' });
  }
  const parsed = authFile.safeParse(value);
  if (!parsed.success)
    throw sluiceError('SLU_PLATFORM_SETTING', {
      name: setting,
      problem: 'must be {"auths": {"<registry>": {"auth": "..."}}}',
    });
  return new Map(
    Object.entries(parsed.data.auths).flatMap(([host, { auth, username, password }]) => {
      const pair =
        auth ?? (username === undefined || password === undefined ? undefined : basicPair(username, password));
      return pair === undefined ? [] : [[registryOf(host), pair] as const];
    }),
  );
}

const basicPair = (user: string, password: string): string => Buffer.from(`${user}:${password}`).toString('base64');

// Docker writes some registries with a scheme and a path.
const registryOf = (host: string): string => host.replace(/^https?:\/\//, '').split('/', 1)[0] ?? host;
