import type { SluiceInstance } from '../support/sluice-instance.ts';
import { jsonRequest } from './bench-models.ts';
import type { BenchOptions } from './bench-options.ts';
import { count, say } from './bench-report.ts';
import { load } from './load-client.ts';
import { memoryOf, residentOf } from './process-memory.ts';

const connections = 32;

/** What everything takes when idle, and how the API's memory goes under full load. */
export async function benchMemory(sluice: SluiceInstance, { isShort, requests }: BenchOptions): Promise<void> {
  const idle = await memoryOf(sluice.launcher.pid!);
  say('\nmemory (proportional set size, MiB), idle');
  for (const [name, mebibytes] of idle.rows) say(`  ${name.padEnd(28)} ${mebibytes.toFixed(0)}`);
  say(`  ${'all'.padEnd(28)} ${idle.sum.toFixed(0)}`);

  const [api] = await sluice.pids('api');
  const headers = { 'content-type': 'application/json', authorization: `Bearer ${await sluice.adminKey()}` };
  say(`\nresident memory of the API process over ${count(requests)} requests (MiB)`);
  let done = 0;
  while (done < requests) {
    const result = await load({
      url: `${sluice.base}/v2/models/dense/infer`,
      headers,
      body: jsonRequest('dense'),
      connections,
      seconds: isShort ? 2 : 10,
    });
    if (result.failures > 0) throw new Error(`${result.failures} requests failed`);
    done += result.requests;
    say(`  after ${count(done).padStart(9)} requests   ${(await residentOf(api!)).toFixed(0)}`);
  }
}
