import { setTimeout as pause } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { startTelemetry } from './telemetry.js';

const valueOf = (text: string, name: string, label = ''): number =>
  Number(
    text
      .split('\n')
      .find((line) => line.startsWith(name) && line.includes(label))
      ?.split(' ')
      .at(-1),
  );

it('shows how late the event loop was held up, and the resident memory', async () => {
  await using telemetry = await startTelemetry({ service: 'test', version: '0', sampling: 0 });
  await pause(50);
  const blockedUntil = performance.now() + 80;
  while (performance.now() < blockedUntil);
  await pause(50);
  const text = await telemetry.prometheusText();
  expect(valueOf(text, 'sluice_platform_event_loop_delay_seconds', 'quantile="1"')).toBeGreaterThan(0.05);
  expect(valueOf(text, 'sluice_platform_event_loop_delay_seconds', 'quantile="0.5"')).toBeLessThan(0.05);
  expect(valueOf(text, 'sluice_platform_resident_memory_bytes')).toBeGreaterThan(10_000_000);
});
