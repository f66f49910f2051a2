import { createServer } from 'node:http';
import { listenOnSocket } from '#libs/inference/adapters/llama';

export interface LivenessSettings {
  /** The Unix socket at which `GET /v2/health/live` is answered, apart from all work. */
  socketPath: string;
  /** How long one step of the model may take. */
  runLimitMs: number;
  /** Milliseconds since the step under way has begun; 0 without one. */
  stepMs(): number;
}

/**
 * Says whether this process lives. The model computes on threads of its own, so the event loop can answer for it; a loop
 * that stands still answers nothing, and whoever asks counts that as well.
 */
export async function startLiveness({ socketPath, runLimitMs, stepMs }: LivenessSettings): Promise<void> {
  const server = createServer((req, res) => {
    req.resume();
    const isAsked = req.method === 'GET' && req.url === '/v2/health/live';
    const isHung = stepMs() > runLimitMs;
    const hang = `a step has taken longer than ${runLimitMs / 1_000} s`;
    const content = isHung ? { live: false, reason: hang } : { live: true };
    const status = isHung ? 503 : 200;
    res.writeHead(isAsked ? status : 404, { 'content-type': 'application/json', connection: 'close' });
    res.end(JSON.stringify(isAsked ? content : { error: 'only GET /v2/health/live is answered here' }));
  });
  await listenOnSocket(server, socketPath);
  server.unref();
}
