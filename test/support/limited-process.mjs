// One API process as far as limits go: it admits by the built store, over a line of HTTP, and can be killed at any time.
import { createServer } from 'node:http';
import { redisClient } from '../../dist/libs/access/limits/adapters/redis/redis-client.js';
import { RedisLimitStore } from '../../dist/libs/access/limits/adapters/redis/redis-limit-store.js';
import { LimitSet, limitsOf } from '../../dist/libs/access/limits/limit-set.js';

const [url, allowance, leaseSeconds] = process.argv.slice(2);
const redis = redisClient({ url, callTimeoutMs: 2_000 });
await new Promise((resolve) => redis.once('ready', resolve));
const store = new RedisLimitStore({ redis, leaseSeconds: Number(leaseSeconds) });
const set = new LimitSet(limitsOf('tenant', 'raced', JSON.parse(allowance)));

const answer = async (res) => {
  try {
    const { refusedBy, hold } = await store.admit(set, { requests: 1, streams: 0, tokens: 0 });
    if (hold === undefined) {
      res.writeHead(429).end(set.limits[refusedBy].name);
      return;
    }
    // Told at once, so that whoever counts knows of it even when this process dies in the next moment.
    res.writeHead(200).write('admitted\n');
    await new Promise((resolve) => setTimeout(resolve, 2 + Math.random() * 20));
    store.end(hold, 0);
    res.end('ended\n');
  } catch {
    res.writeHead(503).end();
  }
};
const server = createServer((_req, res) => void answer(res));
server.listen(0, '127.0.0.1', () => process.send({ port: server.address().port }));
process.on('disconnect', () => process.exit());
