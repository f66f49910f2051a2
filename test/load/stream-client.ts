import { Agent, request } from 'node:http';

export interface StreamRun {
  url: string;
  headers: Readonly<Record<string, string>>;
  body: string;
  /** Streams that are open at the same time. */
  streams: number;
  /** Their starts are spread over so long, so that they do not all stand in one queue. */
  rampMs: number;
  tokens: number;
}

export interface StreamResult {
  /** From the sending of the request to the first token, sorted. */
  firstTokenMs: number[];
  /** From the upstream's sending of a token to its arrival, sorted. */
  lagMs: number[];
  /** Tokens that did not come, came twice or out of order. */
  lostTokens: number;
  /** Streams without their end, or with another status. */
  failures: number;
}

const nowMs = (): number => Number(process.hrtime.bigint() / 1_000n) / 1_000;

/** Opens streams against the upstream of `gateway-upstream.mjs`, straight or through a gateway, and reads them all. */
export async function openStreams(run: StreamRun): Promise<StreamResult> {
  const result: StreamResult = { firstTokenMs: [], lagMs: [], lostTokens: 0, failures: 0 };
  const agent = new Agent({ keepAlive: true, maxSockets: Infinity });
  await Promise.all(
    Array.from({ length: run.streams }, async (_value, at) => {
      await new Promise((resolve) => setTimeout(resolve, (run.rampMs * at) / run.streams));
      await readStream(run, agent, result);
    }),
  );
  agent.destroy();
  result.firstTokenMs.sort((one, other) => one - other);
  result.lagMs.sort((one, other) => one - other);
  return result;
}

function readStream({ url, headers, body, tokens }: StreamRun, agent: Agent, result: StreamResult): Promise<void> {
  return new Promise((resolve) => {
    const startedMs = nowMs();
    let expected = 0;
    let text = '';
    const fail = (): void => {
      result.failures += 1;
      resolve();
    };
    const req = request(url, {
      method: 'POST',
      agent,
      headers: { ...headers, 'content-length': Buffer.byteLength(body) },
    });
    req.once('error', fail);
    req.once('response', (res) => {
      res.setEncoding('latin1');
      res.on('data', (chunk: string) => {
        const arrivedMs = nowMs();
        text += chunk;
        for (const match of text.matchAll(/"content":"(\d+)@([\d.]+) "/g)) {
          if (expected === 0) result.firstTokenMs.push(arrivedMs - startedMs);
          if (Number(match[1]) !== expected) result.lostTokens += 1;
          result.lagMs.push(arrivedMs - Number(match[2]));
          expected += 1;
        }
        const whole = text.lastIndexOf('\n\n');
        if (whole >= 0 && !text.includes('[DONE]')) text = text.slice(whole + 2);
      });
      res.once('error', fail);
      res.once('end', () => {
        if (res.statusCode !== 200 || !text.includes('data: [DONE]\n\n')) result.failures += 1;
        result.lostTokens += Math.max(0, tokens - expected);
        resolve();
      });
    });
    req.end(body);
  });
}

export function quantile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}
