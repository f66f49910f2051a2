import { Limiting, LimitMetrics, limitStores } from '#libs/access';
import type { Logger, SluiceConfig, Telemetry } from '#libs/platform';
import type { Database } from '#libs/store';

/** Makes what limits consist of. They hold once the book has been loaded. */
export function assembleLimits(
  config: Pick<SluiceConfig, 'redisUrl' | 'limitsWithoutRedis' | 'limitsLeaseSeconds'>,
  { database, log, telemetry }: { database: Database; log: Logger; telemetry: Telemetry },
  stack: AsyncDisposableStack,
): Limiting {
  const { redisUrl, limitsWithoutRedis, limitsLeaseSeconds: leaseSeconds } = config;
  const stores = stack.use(
    limitStores({
      redisUrl,
      leaseSeconds,
      withoutRedis: limitsWithoutRedis,
      onLost: (err) =>
        log.error({ err, without: limitsWithoutRedis }, 'Redis does not answer; limits go on without it as configured'),
      onBack: () => log.info('Redis answers again, and counts the limits'),
    }),
  );
  const metrics = new LimitMetrics(telemetry.meter, stores.shared);
  return stack.use(
    new Limiting({
      database,
      stores,
      onProblem: (err) => log.warn({ err }, 'limits cannot be read; those known hold for now'),
      onRefused: (limit) => metrics.refused(limit),
    }),
  );
}
