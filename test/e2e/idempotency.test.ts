import { spawn, type ChildProcess } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { freePort } from '#libs/platform';
import { SluiceInstance } from '../support/sluice-instance.js';

let sluice: SluiceInstance;
let admin: string;
let database: pg.Client;
let second: ChildProcess;
let bases: string[];

beforeAll(async () => {
  sluice = await SluiceInstance.start();
  admin = await sluice.adminKey();
  const [pid] = await sluice.pids('api');
  const env = await sluice.environmentOf(pid);
  // As the owner: one of the tests hangs a trigger into the way, which the processes themselves may not.
  const password = (await readFile(join(sluice.home, 'postgres', 'password'), 'utf8')).trim();
  const { href } = Object.assign(new URL(env['DATABASE_URL']!), { username: 'sluice', password });
  database = new pg.Client({ connectionString: href });
  await database.connect();
  const port = await freePort();
  second = spawn(process.execPath, [fileURLToPath(new URL('../../dist/apps/api/main.js', import.meta.url))], {
    env: { ...env, SLUICE_PORT: String(port), SLUICE_GRPC_PORT: String(await freePort()) },
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
  });
  bases = [sluice.base, `http://127.0.0.1:${port}`];
  await vi.waitFor(async () => expect((await fetch(`${bases[1]}/v2/health/live`)).status).toBe(200), {
    timeout: 60_000,
    interval: 100,
  });
});
afterAll(async () => {
  second?.kill('SIGKILL');
  await database?.end();
  await sluice?.[Symbol.asyncDispose]();
});

async function post(
  base: string,
  key: string,
  name: string,
): Promise<{ status: number; body: string; replayed: boolean }> {
  const answer = await fetch(`${base}/api/keys`, {
    method: 'POST',
    headers: { authorization: `Bearer ${admin}`, 'content-type': 'application/json', 'idempotency-key': key },
    body: JSON.stringify({ name, role: 'caller' }),
  });
  return { status: answer.status, body: await answer.text(), replayed: answer.headers.has('idempotent-replayed') };
}
const keysNamed = async (name: string): Promise<number> =>
  (await database.query('SELECT 1 FROM api_keys WHERE name = $1', [name])).rowCount!;

it('makes exactly one change of fifty equal requests over two API processes', async () => {
  const answers = await Promise.all(Array.from({ length: 50 }, (_each, at) => post(bases[at % 2]!, 'fifty', 'fifty')));
  expect(await keysNamed('fifty')).toBe(1);
  expect(answers.filter(({ status, replayed }) => status === 201 && !replayed)).toHaveLength(1);
  expect(answers.every(({ status }) => status === 201 || status === 409)).toBe(true);
  const [here, there] = await Promise.all(bases.map((base) => post(base, 'fifty', 'fifty')));
  expect([here!.replayed, there!.replayed]).toEqual([true, true]);
  expect(there!.body).toBe(here!.body);
});

it('makes exactly one change when its process is killed in the middle of the first request', async () => {
  const [pid] = await sluice.pids('api');
  // The request waits here for a lock, in the middle of its transaction.
  await database.query('BEGIN');
  await database.query('LOCK TABLE api_keys IN EXCLUSIVE MODE');
  const cutOff = post(sluice.base, 'killed', 'killed').catch(() => 'cut off');
  // In one's own transaction the statistics of activity stand still; locks do not.
  const waiting = `SELECT 1 FROM pg_locks WHERE relation = 'api_keys'::regclass AND NOT granted`;
  await expect.poll(async () => (await database.query(waiting)).rowCount, { timeout: 30_000 }).toBeGreaterThan(0);
  process.kill(pid!, 'SIGKILL');
  expect(await cutOff).toBe('cut off');
  await database.query('COMMIT');
  const other = bases[1]!;
  expect((await post(other, 'killed', 'killed')).status).toBe(409);
  await expect
    .poll(async () => (await post(other, 'killed', 'killed')).status, { timeout: 90_000, interval: 1_000 })
    .toBe(201);
  expect(await keysNamed('killed')).toBe(1);
  expect(await post(other, 'killed', 'killed')).toMatchObject({ status: 201, replayed: true });
}, 180_000);

it('shows the key that it made when its process is killed after the change and before the answer', async () => {
  // Whoever keeps an answer waits for the lock that the test holds; the change is committed by then.
  await database.query(`CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql
    AS 'BEGIN PERFORM pg_advisory_xact_lock(38); RETURN NEW; END'`);
  await database.query(`CREATE TRIGGER wait BEFORE UPDATE ON idempotency_keys FOR EACH ROW WHEN (OLD.state = 'answered')
    EXECUTE FUNCTION wait()`);
  await database.query('SELECT pg_advisory_lock(38)');
  const cutOff = post(bases[1]!, 'unheard', 'unheard').catch(() => 'cut off');
  const waiting = `SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND objid = 38 AND NOT granted`;
  await expect.poll(async () => (await database.query(waiting)).rowCount, { timeout: 30_000 }).toBe(1);
  second.kill('SIGKILL');
  expect(await cutOff).toBe('cut off');
  // PostgreSQL would notice by itself that nobody is there any more, only later.
  await database.query(`SELECT pg_terminate_backend(pid) FROM (${waiting}) w`);
  const again = await post(sluice.base, 'unheard', 'unheard');
  expect(again).toMatchObject({ status: 201, replayed: true });
  expect(await keysNamed('unheard')).toBe(1);
  const { key } = JSON.parse(again.body) as { key: string };
  const headers = { authorization: `Bearer ${key}` };
  await expect.poll(async () => (await fetch(`${sluice.base}/v1/models`, { headers })).status).toBe(200);
}, 60_000);
