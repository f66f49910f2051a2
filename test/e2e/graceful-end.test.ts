import { expect, it } from 'vitest';
import { SluiceInstance } from '../support/sluice-instance.js';
import { Traffic, variedText } from '../support/traffic.js';

it('answers every request that it accepted, refuses later ones with Retry-After, and exits with 0', async () => {
  await using sluice = await SluiceInstance.start();
  const traffic = new Traffic({
    base: sluice.base,
    endpoint: 'tone',
    key: await sluice.adminKey(),
    requestsPerSecond: 300,
    text: variedText,
  });
  await expect.poll(() => traffic.tally.byStatus[200] ?? 0, { timeout: 30_000 }).toBeGreaterThan(300);
  let isReadySeenFalse = false;
  const watching = (async () => {
    for (;;) {
      const response = await fetch(`${sluice.base}/v2/health/ready`, { headers: { connection: 'close' } }).catch(
        () => undefined,
      );
      if (response === undefined) return;
      if (response.status === 503) isReadySeenFalse = true;
    }
  })();
  expect(await sluice.stop('SIGTERM')).toBe(0);
  await watching;
  const tally = await traffic.stop();
  expect(isReadySeenFalse).toBe(true);
  // 0 is a connection that the closed port refused. A request that was cut off would read otherwise.
  const failures = tally.failures.filter((failure) => !/^503 |ECONNREFUSED/.test(failure));
  expect(failures).toEqual([]);
  expect(tally.withoutRetryAfter).toBe(0);
  expect(Object.keys(tally.byStatus).every((status) => ['0', '200', '503'].includes(status))).toBe(true);
}, 240_000);
