import { Database } from '#libs/store';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { ApiFleet } from '../support/api-fleet.js';
import { periodOf, type PeriodSums } from '../support/budgets.js';
import { CountingUpstream, mostTokens, promptTokens } from '../support/counting-upstream.js';
import { RaceClients, type RacedUse } from '../support/race-clients.js';
import { hasRedis, RedisServer } from '../support/redis-server.js';
import { SluiceInstance } from '../support/sluice-instance.js';

const processCount = 4;
const clientCount = 200;
/** The long run: `SLUICE_RACE_KILLS=40`. */
const kills = Number(process.env['SLUICE_RACE_KILLS'] ?? 6);
const answersPerKill = 60;
const limits = { money: 1_000, tokens: 10_000, day: 400, slots: 10 };
/** What a request of the race reserves at most: its bytes and a chat's template as tokens, and those of the answer. */
const mostReservedTokens = 600;
const env = { SLUICE_BUDGET_LOST_SECONDS: '3', SLUICE_LIMITS_LEASE_SECONDS: '10' };
const patience = { timeout: 120_000, interval: 100 };
const raceTimeoutMs = 600_000;

let stack: AsyncDisposableStack;
let sluice: SluiceInstance;
let fleet: ApiFleet;
let database: Database;
let redis: RedisServer | undefined;
let upstream: CountingUpstream;
let clients: RaceClients;
let budgetIds: { money: string; tokens: string };
/** The most that was ever written as spent and held together. */
const mostTaken = { money: 0, tokens: 0 };
const startedOn = Date.now();

beforeAll(async () => {
  await using owned = new AsyncDisposableStack();
  upstream = owned.use(await CountingUpstream.start());
  redis = hasRedis ? owned.use(await RedisServer.start()) : undefined;
  const shared = redis === undefined ? env : { ...env, REDIS_URL: redis.url };
  sluice = owned.use(await SluiceInstance.start({ env: shared }));
  await upstream.register(sluice);
  await made('POST', '/api/prices', { endpoint: 'tone', requestMicros: 1 });
  // Before the processes of the race start: a budget holds in a process from when that has heard of it.
  const keys = await Promise.all((['money', 'tokens', 'day', 'slots'] as const).map(keyFor));
  const [money, tokens, day, slots] = keys as [Key, Key, Key, Key];
  budgetIds = { money: await hardBudget('money', money), tokens: await hardBudget('tokens', tokens) };
  await made('PUT', `/api/limits/key/${day.id}`, { requestsPerDay: limits.day });
  await made('PUT', `/api/limits/key/${slots.id}`, { concurrentRequests: limits.slots });
  fleet = owned.use(await ApiFleet.start(sluice, processCount));
  database = owned.use(await Database.connect({ url: fleet.databaseUrl, applicationName: 'race' }));
  clients = owned.use(new RaceClients(fleet.bases, { money, tokens, ...(hasRedis && { day, slots }) }));
  stack = owned.move();
  await race();
}, raceTimeoutMs);
afterAll(() => stack?.disposeAsync());

interface Key {
  key: string;
  id: string;
}

async function made(method: 'POST' | 'PUT', path: string, body: object): Promise<unknown> {
  const answer = await sluice.call(method, path, body);
  expect([path, answer.status]).toEqual([path, method === 'POST' ? 201 : 200]);
  return answer.body;
}

const keyFor = async (use: RacedUse): Promise<Key> =>
  (await made('POST', '/api/keys', { name: `race ${use}`, roles: ['caller'] })) as Key;

async function hardBudget(unit: 'money' | 'tokens', { id }: Key): Promise<string> {
  const subject = { kind: 'key', id };
  const wish = { name: `race ${unit}`, subject, unit, limit: limits[unit], period: 'total', isHard: true };
  return ((await made('POST', '/api/budgets', wish)) as { id: string }).id;
}

/** All clients use up everything at once, while two of the processes at a time may be dead or starting. */
async function race(): Promise<void> {
  const over = new AbortController();
  const watching = watchBudgets(over.signal);
  clients.start(clientCount);
  const halves = [0, 1].map(async (half) => {
    for (let kill = 0; kill < kills / 2; kill += 1) {
      const { answered } = clients;
      await vi.waitFor(() => expect(clients.answered).toBeGreaterThan(answered + answersPerKill), patience);
      await fleet.replace(half * 2 + Math.floor(Math.random() * 2));
    }
  });
  await Promise.all(halves);
  await vi.waitFor(() => expect(clients.usesAtTheirEnd).toEqual(clients.endingUses), patience);
  await clients.stop();
  over.abort();
  await watching;
  await untilNothingIsHeld();
}

async function watchBudgets(signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    for (const unit of ['money', 'tokens'] as const) {
      const { spent, held } = await periodOf(database, budgetIds[unit]);
      mostTaken[unit] = Math.max(mostTaken[unit], spent + held);
    }
  }
}

/** Every process that lives has said so since, and what the dead ones held is written off. */
async function untilNothingIsHeld(): Promise<void> {
  const [{ now }] = (await database.query<{ now: Date }>('SELECT clock_timestamp() AS now')) as [{ now: Date }];
  await vi.waitFor(async () => {
    const live = await database.query(`SELECT 1 FROM budget_processes WHERE state = 'live' AND seen_at > $1`, [now]);
    expect(live).toHaveLength(processCount + 1);
    for (const budgetId of Object.values(budgetIds)) expect((await periodOf(database, budgetId)).held).toBe(0);
  }, patience);
}

/** A process that was thought to be dead may have given something back after the others had been refused: it is spent, too. */
async function spendTheRest(use: 'money' | 'tokens'): Promise<PeriodSums> {
  do await untilNothingIsHeld();
  while ((await clients.sendUntilRefused(use)) > 0);
  return periodOf(database, budgetIds[use]);
}

/** The same settlement writes the budget and the usage: what one counts twice or not at all, the other shows. */
async function settledOf(use: 'money' | 'tokens'): Promise<{ cost: number; tokens: number }> {
  const { body } = await sluice.call('GET', `/api/usage?keyId=${clients.keys[use]!.id}&groupBy=key`);
  const [sum] = (body as { usage: Record<string, number>[] }).usage;
  return { cost: sum!['costMicros']!, tokens: sum!['tokensIn']! + sum!['tokensOut']! };
}

function expectNothingLost(use: 'money' | 'tokens', { spent, writtenOff }: PeriodSums, settled: number): void {
  const { used } = clients.seen[use];
  // Neither lost nor twice: what was settled is what the usage says, and what clients got is settled or written off.
  expect(settled).toBe(spent - writtenOff);
  expect(used).toBeLessThanOrEqual(spent);
  expect(used - settled).toBeLessThanOrEqual(writtenOff);
}

describe('4 API processes that are killed at random, and 200 clients', () => {
  it('answer, refuse, break off or say to try again, and nothing else', () => {
    for (const { others } of Object.values(clients.seen)) expect([...others]).toEqual([]);
  });

  it('spend a hard budget of 1,000 units exactly, and settle each request once', async () => {
    const period = await spendTheRest('money');
    const { cost } = await settledOf('money');
    const { answered, broken } = clients.seen.money;
    expect(mostTaken.money).toBeLessThanOrEqual(limits.money);
    expect(period).toMatchObject({ spent: limits.money, held: 0, overrun: 0 });
    expectNothingLost('money', period, cost);
    // What was settled was answered, or its connection broke before the client knew.
    expect(cost).toBeLessThanOrEqual(answered + broken);
    expect(answered).toBeGreaterThan(limits.money / 2);
  });

  it('never spend more tokens than a budget has', async () => {
    const period = await spendTheRest('tokens');
    const { tokens } = await settledOf('tokens');
    const { used, broken } = clients.seen.tokens;
    expect(mostTaken.tokens).toBeLessThanOrEqual(limits.tokens);
    expect(period.spent).toBeLessThanOrEqual(limits.tokens);
    expect(limits.tokens - period.spent).toBeLessThan(mostReservedTokens);
    expectNothingLost('tokens', period, tokens);
    expect(tokens).toBeLessThanOrEqual(used + broken * (promptTokens + mostTokens));
  });

  it.skipIf(!hasRedis)('let in as many requests a day as the limit says, and not one more', async () => {
    await clients.sendUntilRefused('day');
    const { answered, broken, postponed } = clients.seen.day;
    const days = utcDay(Date.now()) - utcDay(startedOn) + 1;
    expect(upstream.countOf('day')).toBeLessThanOrEqual(limits.day * days);
    expect(answered).toBeLessThanOrEqual(upstream.countOf('day'));
    expect(answered + broken + postponed).toBeGreaterThanOrEqual(limits.day);
    // What a process took before it was killed is counted, though nobody may have heard of it.
    using looking = disposable(new Redis(redis!.url));
    const counted = await looking.client.hget(`sluice:{limits}:key:${clients.keys.day!.id}`, 'requests-per-day');
    expect(Number(counted)).toBe(limits.day);
  });

  it.skipIf(!hasRedis)(
    'never run more requests at once than the limit, and lose no slot for longer than a lease',
    async () => {
      expect(upstream.most('slots')).toBeLessThanOrEqual(limits.slots);
      expect(clients.seen.slots.answered).toBeGreaterThan(limits.slots * 10);
      // The slots of the dead processes run out; then all of them can be in use again, and not one more.
      upstream.hold('slots');
      const sent: Promise<number>[] = [];
      await vi.waitFor(() => {
        if (upstream.running('slots') < limits.slots) sent.push(clients.send('slots'));
        expect(upstream.running('slots')).toBe(limits.slots);
      }, patience);
      expect(await clients.send('slots')).toBe(429);
      upstream.release('slots');
      const statuses = await Promise.all(sent);
      expect(statuses.filter((status) => status === 200)).toHaveLength(limits.slots);
      expect(upstream.most('slots')).toBe(limits.slots);
    },
  );
});

const utcDay = (ms: number): number => Math.floor(ms / 86_400_000);
const disposable = (client: Redis): Disposable & { client: Redis } => ({
  client,
  [Symbol.dispose]: () => client.disconnect(),
});
