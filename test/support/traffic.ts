import { Agent, request } from 'undici';

export interface Tally {
  sent: number;
  /** By HTTP status; 0 is a connection that failed. */
  byStatus: Record<number, number>;
  /** By the header sluice-model-version, whatever the status. */
  byVersion: Record<string, number>;
  /** Refusals that do not say when to try again. */
  withoutRetryAfter: number;
  /** What failed, a few of them in full. */
  failures: string[];
}

export interface TrafficSettings {
  base: string;
  endpoint: string;
  key: string;
  requestsPerSecond: number;
  /** The n-th request's text. */
  text: (index: number) => string;
  /** The n-th request's sticky key; none by default. */
  stickyKey?: (index: number) => string;
}

const tickMs = 10;
const keptFailures = 10;

/** Steady traffic from a real HTTP client: requests leave on time, whether or not earlier ones have been answered. */
export class Traffic {
  readonly tally: Tally = { sent: 0, byStatus: {}, byVersion: {}, withoutRetryAfter: 0, failures: [] };
  private readonly agent = new Agent({ connections: 64, pipelining: 1 });
  private readonly open = new Set<Promise<void>>();
  private readonly begun = performance.now();
  private readonly timer: NodeJS.Timeout;

  constructor(private readonly settings: TrafficSettings) {
    this.timer = setInterval(() => this.sendDue(), tickMs);
  }

  /** Stops sending, waits for every answer, and gives the count. */
  async stop(): Promise<Tally> {
    clearInterval(this.timer);
    await Promise.all(this.open);
    if (!this.agent.closed) await this.agent.close();
    return this.tally;
  }

  private sendDue(): void {
    const due = Math.floor(((performance.now() - this.begun) / 1_000) * this.settings.requestsPerSecond);
    while (this.tally.sent < due) {
      const sending = this.send(this.tally.sent).finally(() => this.open.delete(sending));
      this.open.add(sending);
      this.tally.sent += 1;
    }
  }

  private async send(index: number): Promise<void> {
    const { base, endpoint, key, text, stickyKey } = this.settings;
    const input = { name: 'text', datatype: 'BYTES', shape: [1], data: [text(index)] };
    try {
      const answer = await request(`${base}/v2/models/${endpoint}/infer`, {
        method: 'POST',
        dispatcher: this.agent,
        headers: {
          authorization: `Bearer ${key}`,
          'content-type': 'application/json',
          ...(stickyKey === undefined ? {} : { 'sluice-sticky-key': stickyKey(index) }),
        },
        body: JSON.stringify({ inputs: [input] }),
      });
      const body = await answer.body.text();
      if (answer.statusCode === 503 && answer.headers['retry-after'] === undefined) this.tally.withoutRetryAfter += 1;
      this.count(answer.statusCode, answer.headers['sluice-model-version'], body);
    } catch (error) {
      this.count(0, undefined, error instanceof Error ? `${error.name} ${error.message}` : String(error));
    }
  }

  private count(status: number, version: string | string[] | undefined, body: string): void {
    const { byStatus, byVersion, failures } = this.tally;
    byStatus[status] = (byStatus[status] ?? 0) + 1;
    if (typeof version === 'string') byVersion[version] = (byVersion[version] ?? 0) + 1;
    if (status !== 200 && failures.length < keptFailures) failures.push(`${status} ${body}`);
  }
}

const words = [
  'please',
  'listen',
  'today',
  'was',
  'hard',
  'but',
  'talking',
  'helped',
  'me',
  'a',
  'little',
  'thank',
  'you',
  'so',
  'much',
];

/** A text of 1 to 15 words; over 15 requests each length occurs once, so a fifth of them are multiples of five. */
export function variedText(index: number): string {
  return words.slice(0, 1 + ((index * 7) % words.length)).join(' ');
}
