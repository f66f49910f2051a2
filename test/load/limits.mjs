// What one admission and its release cost: eight limits of key and tenant at once, beside Nest's throttler with one limit.
// REDIS_URL names a Redis that is measured as well.
import { createRequire } from 'node:module';
import { InProcessLimitStore } from '../../dist/libs/access/limits/adapters/in-process/in-process-limit-store.js';
import { redisClient } from '../../dist/libs/access/limits/adapters/redis/redis-client.js';
import { RedisLimitStore } from '../../dist/libs/access/limits/adapters/redis/redis-limit-store.js';
import { Limits } from '../../dist/libs/access/limits/limits.js';

const { ThrottlerStorageService } = createRequire(import.meta.url)('@nestjs/throttler');
const rounds = Number(process.argv[2] ?? 5);
const caller = { keyId: 'k', projectId: 'p', tenantId: 't', tier: 'bench', endpoints: undefined };
const allowance = {
  requestsPerSecond: { perSecond: 1_000_000, burst: 1_000_000 },
  requestsPerDay: 1_000_000_000,
  tokensPerMinute: 1_000_000_000,
  concurrentRequests: 1_000,
};
const book = {
  revision: 0,
  tier: () => ({ key: allowance, project: {}, tenant: allowance, management: { perSecond: 1, burst: 1 } }),
  allowance: (_scope, _subject, tier) => tier ?? {},
  hasOverride: () => false,
};
const median = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];
const say = (name, nanoseconds) =>
  process.stdout.write(`  ${name.padEnd(40)} ${Math.round(nanoseconds).toLocaleString('en-GB').padStart(10)} ns\n`);

const inProcess = new Limits({ store: new InProcessLimitStore(), book });
const times = [];
for (let round = 0; round <= rounds; round += 1) {
  const turns = 200_000;
  const startedMs = performance.now();
  for (let turn = 0; turn < turns; turn += 1) inProcess.admit(caller, { endpoint: 'e' }).release();
  times.push(((performance.now() - startedMs) * 1e6) / turns);
}
say('in process, eight limits', median(times.slice(1)));

for (const hits of [100, 2_000]) {
  const each = [];
  for (let round = 0; round <= rounds; round += 1) {
    // It keeps every hit of its window and looks through all of them, so that each costs more than the one before.
    const storage = new ThrottlerStorageService();
    const startedMs = performance.now();
    for (let hit = 0; hit < hits; hit += 1) await storage.increment('k', 60_000, 1e9, 60_000, 'default');
    each.push(((performance.now() - startedMs) * 1e6) / hits);
    storage.onApplicationShutdown();
  }
  say(`storage of @nestjs/throttler, ${hits} hits`, median(each.slice(1)));
}

if (process.env.REDIS_URL !== undefined) {
  const redis = redisClient({ url: process.env.REDIS_URL });
  await new Promise((resolve) => redis.once('ready', resolve));
  using store = new RedisLimitStore({ redis });
  const limits = new Limits({ store, book });
  const waits = [];
  for (let turn = 0; turn < 20_000; turn += 1) {
    const startedMs = performance.now();
    (await limits.admit(caller, { endpoint: 'e' })).release();
    waits.push((performance.now() - startedMs) * 1e6);
  }
  say('in Redis, eight limits, p50', median(waits));
  redis.disconnect();
}
