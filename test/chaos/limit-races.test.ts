import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { Agent, request } from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Redis } from 'ioredis';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { hasRedis, RedisServer } from '../support/redis-server.js';

const script = fileURLToPath(new URL('../support/limited-process.mjs', import.meta.url));
const clients = 200;
const processes = 4;
const leaseSeconds = 1;
const slotsKey = 'sluice:{limits}:tenant:raced:requests';

class LimitedProcess {
  port = 0;
  private child: ChildProcess | undefined;

  constructor(private readonly args: readonly string[]) {}

  async start(): Promise<void> {
    this.child = fork(script, this.args);
    const [told] = (await once(this.child, 'message')) as [{ port: number }];
    this.port = told.port;
  }

  async kill(): Promise<void> {
    if (this.child === undefined || this.child.exitCode !== null || this.child.signalCode !== null) return;
    this.child.kill('SIGKILL');
    await once(this.child, 'exit');
  }
}

describe.skipIf(!hasRedis)('four processes, two hundred clients and one Redis', () => {
  let redis: RedisServer;
  let looking: Redis;
  let all: LimitedProcess[] = [];
  beforeEach(async () => {
    redis = await RedisServer.start();
    looking = new Redis(redis.url);
  });
  afterEach(async () => {
    await Promise.all(all.map((each) => each.kill()));
    looking.disconnect();
    await redis[Symbol.asyncDispose]();
  });

  const start = async (allowance: object): Promise<void> => {
    all = Array.from(
      { length: processes },
      () => new LimitedProcess([redis.url, JSON.stringify(allowance), String(leaseSeconds)]),
    );
    await Promise.all(all.map((each) => each.start()));
  };

  /** Each client calls one process after the other until told to stop; meanwhile processes are killed and started again. */
  const race = async (kills: number, isOver: () => boolean, onAdmitted: () => void): Promise<void> => {
    const agent = new Agent({ keepAlive: true, maxSockets: clients });
    const calling = Array.from({ length: clients }, async (_none, client) => {
      for (let at = client; !isOver(); at += 1) {
        const status = await call(all[at % processes]!.port, agent, onAdmitted);
        if (status !== 200) await pause(5);
      }
    });
    for (let at = 0; at < kills; at += 1) {
      await pause(150 + Math.random() * 200);
      const victim = all[Math.floor(Math.random() * processes)]!;
      await victim.kill();
      await victim.start();
    }
    await Promise.all(calling);
    agent.destroy();
  };

  it('never let in more a day than the limit, whoever is killed', async () => {
    const limit = 1_000;
    await start({ requestsPerDay: limit });
    let admitted = 0;
    const endsAtMs = performance.now() + 6_000;
    await race(
      8,
      () => performance.now() > endsAtMs,
      () => (admitted += 1),
    );
    // What a process took before it was killed is counted, though nobody may have heard of it.
    expect(admitted).toBeLessThanOrEqual(limit);
    expect(admitted).toBeGreaterThan(limit - clients);
    expect(Number(await looking.hget('sluice:{limits}:tenant:raced', 'requests-per-day'))).toBe(limit);
  });

  it('never hold more slots at once than the limit, and lose none for longer than a lease', async () => {
    const limit = 10;
    await start({ concurrentRequests: limit });
    const over = new AbortController();
    let most = 0;
    let admitted = 0;
    const watching = (async () => {
      while (!over.signal.aborted) most = Math.max(most, await looking.zcard(slotsKey));
    })();
    const endsAtMs = performance.now() + 5_000;
    await race(
      8,
      () => performance.now() > endsAtMs,
      () => (admitted += 1),
    );
    over.abort();
    await watching;
    expect(most).toBe(limit);
    expect(admitted).toBeGreaterThan(limit * 10);
    // The next admission throws out what has run out; then all slots are free but its own.
    await pause(leaseSeconds * 1_000);
    const agent = new Agent();
    const statuses = await Promise.all(Array.from({ length: limit }, () => call(all[0]!.port, agent, () => undefined)));
    expect(new Set(statuses)).toEqual(new Set([200]));
    await expect.poll(() => looking.zcard(slotsKey)).toBe(0);
  });
});

/** @returns the status; 0 when the process died meanwhile */
function call(port: number, agent: Agent, onAdmitted: () => void): Promise<number> {
  return new Promise((resolve) => {
    const req = request({ port, host: '127.0.0.1', method: 'POST', agent }, (res) => {
      const { statusCode = 0 } = res;
      if (statusCode === 200) onAdmitted();
      res.resume();
      res.once('close', () => resolve(statusCode));
    });
    req.once('error', () => resolve(0));
    req.end();
  });
}
