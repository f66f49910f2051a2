import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { expect, it } from 'vitest';
import { freePort, isPortFree } from './free-port.js';

it('finds ports that can be bound, below those that the kernel gives to whoever asks for any', async () => {
  const any = createServer().listen(0, '127.0.0.1');
  await once(any, 'listening');
  const { port: given } = any.address() as AddressInfo;
  for (let look = 0; look < 20; look += 1) {
    const port = await freePort();
    expect(port).toBeLessThan(32_768);
    expect(await isPortFree(port)).toBe(true);
  }
  expect(await isPortFree(given)).toBe(false);
  any.close();
});
