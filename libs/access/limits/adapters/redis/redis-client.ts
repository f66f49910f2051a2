import { Cluster, Redis, type RedisOptions } from 'ioredis';

export interface RedisClientSettings {
  /** `redis://` or `rediss://`; several addresses, separated by commas, are nodes of one cluster. */
  url: string;
  /** Longest wait for one answer. */
  callTimeoutMs?: number;
  onProblem?: (problem: unknown) => void;
}

const defaultCallTimeoutMs = 250;
const connectTimeoutMs = 2_000;
const longestRetryMs = 1_000;

/** A connection that fails at once when there is none, and comes back by itself. */
export function redisClient({
  url,
  callTimeoutMs = defaultCallTimeoutMs,
  onProblem,
}: RedisClientSettings): Redis | Cluster {
  const options: RedisOptions = {
    commandTimeout: callTimeoutMs,
    connectTimeout: connectTimeoutMs,
    connectionName: 'sluice-api',
    enableOfflineQueue: false,
    // A count that is sent again may count twice.
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    retryStrategy,
  };
  const [first = '', ...others] = url.split(',').map((address) => address.trim());
  const client =
    others.length === 0
      ? new Redis(first, options)
      : new Cluster([first, ...others], {
          redisOptions: { ...options, enableOfflineQueue: true, ...secretsOf(first) },
          enableOfflineQueue: false,
          clusterRetryStrategy: retryStrategy,
          slotsRefreshTimeout: connectTimeoutMs,
        });
  client.on('error', (problem) => onProblem?.(problem));
  return client;
}

const retryStrategy = (attempt: number): number => Math.min(longestRetryMs, 50 * attempt);

/** The nodes of a cluster share user, password and TLS; the addresses carry hosts and ports alone. */
function secretsOf(address: string): RedisOptions {
  const { protocol, username, password } = new URL(address);
  return {
    ...(username !== '' && { username: decodeURIComponent(username) }),
    ...(password !== '' && { password: decodeURIComponent(password) }),
    ...(protocol === 'rediss:' && { tls: {} }),
  };
}
