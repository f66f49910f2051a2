import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, it } from 'vitest';
import { GuardedFetch } from './guarded-fetch.js';
import { HostList } from './host-list.js';
import { OutboundGuard } from './outbound-guard.js';

let cleanup = new AsyncDisposableStack();
afterEach(async () => {
  await cleanup.disposeAsync();
  cleanup = new AsyncDisposableStack();
});

it('posts, follows a redirect to a host that may be reached, and leaves what was for the first host behind', async () => {
  const [second, secondPort] = await serve((_req, res) => res.end('there'));
  const [, firstPort] = await serve((_req, res) =>
    res.writeHead(307, { location: `http://127.0.0.1:${secondPort}/b` }).end(),
  );
  const fetcher = client(['127.0.0.1']);
  const answer = await fetcher.fetch(`http://127.0.0.1:${firstPort}/a`, {
    method: 'POST',
    body: 'over',
    headers: { authorization: 'Bearer mine', 'x-signature': 'mine', 'content-type': 'text/plain' },
  });
  expect(answer).toMatchObject({ status: 200, body: Buffer.from('there') });
  expect(second).toMatchObject([{ method: 'POST', url: '/b', headers: { 'content-type': 'text/plain' } }]);
  expect(JSON.stringify(second[0]!.headers)).not.toContain('mine');
});

it.each([
  'http://169.254.169.254/latest',
  'http://0xA9FEA9FE/',
  'http://localhost:1/',
  'http://[::ffff:127.0.0.1]/',
  'file:///etc/passwd',
])('does not follow a redirect to %s', async (location) => {
  const [, port] = await serve((_req, res) => res.writeHead(302, { location }).end());
  await expect(client([`127.0.0.1:${port}`]).fetch(`http://127.0.0.1:${port}/`)).rejects.toMatchObject({
    code: 'SLU_OUTBOUND_REFUSED',
  });
});

it('does not connect to a name that resolves to this machine, though its name says nothing of it', async () => {
  const [seen, port] = await serve((_req, res) => res.end());
  // Listed for one name server's answer only: the public range, in which this machine is not.
  const guard = new OutboundGuard({
    unlisted: 'refused',
    allowed: HostList.of(['8.0.0.0/8']),
    setting: 'SLUICE_HOSTS',
  });
  const fetcher = cleanup.use(new GuardedFetch({ guard, takesPlainHttp: true }));
  await expect(fetcher.fetch(`http://localhost:${port}/`)).rejects.toThrow(/not among the hosts of SLUICE_HOSTS/);
  expect(seen).toEqual([]);
});

it('speaks no plain HTTP unless it is told to, and takes no password in an address', async () => {
  const guard = new OutboundGuard({ unlisted: 'any', setting: 'SLUICE_HOSTS' });
  const fetcher = cleanup.use(new GuardedFetch({ guard }));
  await expect(fetcher.fetch('http://127.0.0.1:1/')).rejects.toThrow(/by https only/);
  await expect(fetcher.fetch('https://a:b@127.0.0.1:1/')).rejects.toThrow(/user or password/);
});

it('ends with what is wrong when the answer is too long, never comes, or redirects for ever', async () => {
  const [, port] = await serve((req, res) => {
    if (req.url === '/long') res.end(Buffer.alloc(70_000));
    if (req.url === '/round') res.writeHead(302, { location: '/round' }).end();
  });
  const fetcher = client(['127.0.0.1'], 1);
  const base = `http://127.0.0.1:${port}`;
  await expect(fetcher.fetch(`${base}/long`)).rejects.toThrow(/more than 65536 bytes/);
  await expect(fetcher.fetch(`${base}/round`)).rejects.toThrow(/redirects more than 3 times/);
  await expect(fetcher.fetch(`${base}/silent`)).rejects.toThrow(/no answer within 1 s/);
});

type Seen = Pick<IncomingMessage, 'method' | 'url' | 'headers'>[];

async function serve(answer: (req: IncomingMessage, res: ServerResponse) => void): Promise<[Seen, number]> {
  const seen: Seen = [];
  const server: Server = createServer((req, res) => {
    seen.push({ method: req.method, url: req.url, headers: req.headers });
    answer(req, res);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  cleanup.defer(() => {
    server.closeAllConnections();
    server.close();
  });
  return [seen, (server.address() as AddressInfo).port];
}

function client(allowed: string[], limitSeconds = 5): GuardedFetch {
  const guard = new OutboundGuard({ unlisted: 'public', allowed: HostList.of(allowed), setting: 'SLUICE_HOSTS' });
  return cleanup.use(new GuardedFetch({ guard, limitSeconds, takesPlainHttp: true }));
}
