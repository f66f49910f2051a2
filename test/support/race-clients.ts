import { setTimeout as pause } from 'node:timers/promises';
import { mostTokens } from './counting-upstream.js';

/** What is used up: units of money, tokens, requests of a day, slots of concurrent requests. */
export type RacedUse = 'money' | 'tokens' | 'day' | 'slots';

interface RacedKey {
  readonly key: string;
  readonly id: string;
}

/** What clients saw. Of a request whose connection broke nobody knows whether it was answered. */
export interface SeenAnswers {
  answered: number;
  /** Units or tokens, as answers say it. */
  used: number;
  /** The limit or the budget is used up. */
  refused: number;
  broken: number;
  /** 503: to be tried again. */
  postponed: number;
  others: Map<number, string>;
}

/** Of ten requests, so many are for this. */
const turns: readonly RacedUse[] = [
  'money',
  'tokens',
  'day',
  'slots',
  'money',
  'tokens',
  'slots',
  'money',
  'day',
  'money',
];
/** Slots become free again; the others come to an end, and this many refusals show it. */
const ending: readonly RacedUse[] = ['money', 'tokens', 'day'];
const refusalsAtTheEnd = 50;
const mostPauseMs = 1_500;

const inferBody = JSON.stringify({ inputs: [{ name: 'text', datatype: 'BYTES', shape: [1], data: ['I am here.'] }] });
const chatBody = (use: RacedUse): string =>
  JSON.stringify({ model: 'far', messages: [{ role: 'user', content: use }], max_tokens: mostTokens });

/** Many clients of several API processes, any of which may be dead. Each sends one request after the other. */
export class RaceClients implements AsyncDisposable {
  readonly seen: Readonly<Record<RacedUse, SeenAnswers>> = {
    money: nothingSeen(),
    tokens: nothingSeen(),
    day: nothingSeen(),
    slots: nothingSeen(),
  };
  private readonly over = new AbortController();
  private clients: Promise<void>[] = [];

  constructor(
    private readonly bases: readonly string[],
    readonly keys: Readonly<Partial<Record<RacedUse, RacedKey>>>,
  ) {}

  get answered(): number {
    return Object.values(this.seen).reduce((sum, { answered }) => sum + answered, 0);
  }

  get endingUses(): RacedUse[] {
    return ending.filter((use) => this.keys[use] !== undefined);
  }

  get usesAtTheirEnd(): RacedUse[] {
    return this.endingUses.filter((use) => this.seen[use].refused >= refusalsAtTheEnd);
  }

  start(count: number): void {
    this.clients = Array.from({ length: count }, (_none, index) => this.run(index));
  }

  /** Resolves when every request under way has its end. */
  async stop(): Promise<void> {
    this.over.abort();
    await Promise.all(this.clients);
  }

  /** @returns how many were answered before one was refused */
  async sendUntilRefused(use: RacedUse): Promise<number> {
    for (let answered = 0; ;) {
      const status = await this.send(use);
      if (status === 429) return answered;
      if (status === 200) answered += 1;
    }
  }

  /** One request to any of the processes. @returns its status; 0 when its connection broke */
  async send(use: RacedUse): Promise<number> {
    const base = this.bases[Math.floor(Math.random() * this.bases.length)]!;
    const seen = this.seen[use];
    try {
      const response = await fetch(`${base}${use === 'money' ? '/v2/models/tone/infer' : '/v1/chat/completions'}`, {
        method: 'POST',
        headers: { authorization: `Bearer ${this.keys[use]!.key}`, 'content-type': 'application/json' },
        body: use === 'money' ? inferBody : chatBody(use),
      });
      const body = (await response.json()) as { usage?: { total_tokens: number } };
      note(seen, response.status, body.usage?.total_tokens ?? 1, body);
      return response.status;
    } catch {
      seen.broken += 1;
      return 0;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  private async run(index: number): Promise<void> {
    for (let turn = index; !this.over.signal.aborted; turn += 1) {
      await pause(Math.random() * mostPauseMs);
      const use = turns[turn % turns.length]!;
      if (this.keys[use] !== undefined) await this.send(use);
    }
  }
}

function note(seen: SeenAnswers, status: number, used: number, body: object): void {
  if (status === 200) {
    seen.answered += 1;
    seen.used += used;
  } else if (status === 429) seen.refused += 1;
  else if (status === 503) seen.postponed += 1;
  else seen.others.set(status, JSON.stringify(body));
}

const nothingSeen = (): SeenAnswers => ({
  answered: 0,
  used: 0,
  refused: 0,
  broken: 0,
  postponed: 0,
  others: new Map(),
});
