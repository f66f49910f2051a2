import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { expect, it, vi } from 'vitest';
import { freshDatabase } from '../../test/support/database.js';
import { ChangeFeed, type Change } from './change-feed.js';

/** Stands between a client and PostgreSQL, and can fall silent without closing anything. */
async function silencer(url: string) {
  const { hostname, port } = new URL(url);
  const sockets = new Set<Socket>();
  const server = createServer((near) => {
    const far = connect(Number(port), hostname);
    near.pipe(far).pipe(near);
    for (const socket of [near, far]) {
      socket.on('error', () => undefined);
      sockets.add(socket);
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const through = new URL(url);
  through.port = String((server.address() as AddressInfo).port);
  return {
    url: through.href,
    fallSilent: () => {
      for (const socket of sockets) socket.unpipe().pause();
    },
    [Symbol.dispose]: () => {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}

function listener() {
  const heard = { changes: [] as Change[], connected: 0, lost: [] as string[] };
  return {
    heard,
    onChange: (change: Change) => void heard.changes.push(change),
    onConnected: () => void (heard.connected += 1),
    onLost: (reason: string) => void heard.lost.push(reason),
  };
}

it('notices a connection that died without a word, and connects again', async () => {
  await using db = await freshDatabase();
  using proxy = await silencer(db.url);
  const { heard, ...rest } = listener();
  await using feed = new ChangeFeed(proxy.url, 'test', rest, 100);
  await feed.start();
  expect(heard.connected).toBe(1);
  proxy.fallSilent();
  await vi.waitFor(() => expect(heard.connected).toBe(2), { timeout: 10_000 });
  expect(heard.lost).toEqual(['the server does not answer any more']);
});

it('takes a notification that is none of its own for nothing', async () => {
  await using db = await freshDatabase();
  const { heard, ...rest } = listener();
  await using feed = new ChangeFeed(db.url, 'test', rest);
  await feed.start();
  for (const payload of ['', '{', 'null', '{"table":1}', '{"table":"endpoints","key":"tone"}']) {
    await db.database.query(`SELECT pg_notify('sluice_changed', $1)`, [payload]);
  }
  await vi.waitFor(() => expect(heard.changes).toEqual([{ table: 'endpoints', key: 'tone' }]));
});
