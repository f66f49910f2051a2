import { chmodSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { parentPort, workerData } from 'node:worker_threads';
import type { LivenessSettings } from './liveness.js';
import { ProgressMark } from './progress-mark.js';

export interface LivenessThreadSettings extends LivenessSettings {
  memory: SharedArrayBuffer;
}

const { memory, socketPath, silenceLimitMs, runLimitMs } = workerData as LivenessThreadSettings;
const mark = new ProgressMark(memory);

/** @returns why the process does not count as alive, or undefined when it does */
function hangOf(): string | undefined {
  const { silentMs, runs } = mark.read();
  if (runs > 0 && silentMs > runLimitMs) return `a run has taken longer than ${runLimitMs / 1_000} s`;
  if (runs === 0 && silentMs > silenceLimitMs)
    return `its event loop has stood still for longer than ${silenceLimitMs / 1_000} s with no run under way`;
  return undefined;
}

const server = createServer((req, res) => {
  req.resume();
  if (req.method !== 'GET' || req.url !== '/v2/health/live') {
    res.writeHead(404, { 'content-type': 'application/json' });
    res.end(JSON.stringify({ error: 'only GET /v2/health/live is answered here' }));
    return;
  }
  const hang = hangOf();
  const content = hang === undefined ? { live: true } : { live: false, reason: hang };
  res.writeHead(hang === undefined ? 200 : 503, { 'content-type': 'application/json', connection: 'close' });
  res.end(JSON.stringify(content));
});
const ownerOnly = 0o600;
rmSync(socketPath, { force: true });
server.listen(socketPath, () => {
  chmodSync(socketPath, ownerOnly);
  parentPort?.postMessage('listening');
});
