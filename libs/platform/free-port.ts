import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';

/**
 * Where free ports are looked for: below those that kernels hand out by themselves (from 32,768 on Linux), because one of
 * those may go to a connection, or to a server that asks for any, between the look and the bind.
 */
const lookedFor = { from: 15_000, to: 32_000 } as const;
const mostLooks = 200;

/** @returns a TCP port that is free on this host now; the caller binds it soon or asks again */
export async function freePort(host = '127.0.0.1'): Promise<number> {
  for (let look = 0; look < mostLooks; look += 1) {
    const port = randomInt(lookedFor.from, lookedFor.to);
    if (await isPortFree(port, host)) return port;
  }
  throw new Error(`no port from ${lookedFor.from} to ${lookedFor.to} is free on ${host}`);
}

/** Can this process bind the port now? Port 0 always can. */
export async function isPortFree(port: number, host = '127.0.0.1'): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.unref();
    server.once('error', () => resolve(false));
    server.listen(port, host, () => server.close(() => resolve(true)));
  });
}
