import { latencyBucket, latencyBucketCount, latencyOfBucket, minutes, secondsToMs } from '#libs/kernel';
import type { Logger } from '#libs/platform';
import type { Database } from '#libs/store';
import { randomUUID } from 'node:crypto';
import { deleteInPortions } from './retention.js';
import type { LiveArm } from '../routes/route-table.js';

/** What became of a request, as the operator counts it. `cached` was answered without the model. */
export const outcomes = ['ok', 'cached', 'caller', 'model', 'overload'] as const;
export type Outcome = (typeof outcomes)[number];

/** One complete second of one arm, as stored. */
interface SecondRow {
  endpoint: string;
  revision: number;
  arm: string;
  version: string;
  second: string;
  requests: number;
  errors: number;
  latency: Record<string, number>;
}

export interface OutcomeCountersSettings {
  database: Database;
  log: Logger;
  /** Wall time in milliseconds. */
  nowMs?: () => number;
}

const keptSeconds = minutes(15);
const idleSeconds = minutes(10);
const rowsPerStatement = 2_000;
const flushDelayMs = 15;
const retentionLock = 7_583_002;
const retentionEveryFlushes = minutes(10);

/** Since the start of the process, over all revisions: what metrics show. */
export interface ArmTotals {
  readonly endpoint: string;
  readonly arm: string;
  readonly version: string;
  readonly outcomes: Record<Outcome, number>;
  /** By latency bucket. */
  readonly latency: Float64Array;
  latencySumMs: number;
}

/** Counts the requests of one arm of one revision in the second that runs now. Nothing is allocated per request. */
export class ArmCounter {
  private second = 0;
  /** The last second in which something was counted. */
  lastSecond: number;
  private requests = 0;
  private errors = 0;
  private readonly buckets = new Uint32Array(latencyBucketCount);
  private readonly touched: number[] = [];

  constructor(
    readonly arm: LiveArm,
    private readonly totals: ArmTotals,
    private readonly closed: SecondRow[],
    bornSecond: number,
  ) {
    this.lastSecond = bornSecond;
  }

  /**
   * Only answers of the model and failures that the arm has to answer for are evidence about it. A caller's mistake or
   * a full queue would make a bad arm look fast and a good one look broken, and a cache that is still empty makes a new
   * arm look slow.
   */
  count(outcome: Outcome, totalMs: number, nowSecond: number): void {
    this.totals.outcomes[outcome] += 1;
    if (outcome !== 'ok' && outcome !== 'model') return;
    if (nowSecond > this.second) this.close(nowSecond);
    const bucket = latencyBucket(totalMs);
    this.requests += 1;
    this.lastSecond = this.second;
    if (outcome === 'model') this.errors += 1;
    if (this.buckets[bucket]!++ === 0) this.touched.push(bucket);
    this.totals.latency[bucket]! += 1;
    this.totals.latencySumMs += totalMs;
  }

  /** Ends the running second when it is before `nowSecond`; nothing is added to it any more. */
  close(nowSecond: number): void {
    if (this.second >= nowSecond) return;
    if (this.requests > 0) this.closed.push(this.row());
    for (const bucket of this.touched) this.buckets[bucket] = 0;
    this.touched.length = 0;
    this.requests = this.errors = 0;
    this.second = nowSecond;
  }

  private row(): SecondRow {
    const latency: Record<string, number> = {};
    for (const bucket of this.touched) latency[bucket] = this.buckets[bucket]!;
    const { endpoint, revision, name, version } = this.arm;
    const second = new Date(secondsToMs(this.second)).toISOString();
    const { requests, errors } = this;
    return { endpoint, revision, arm: name, version: version.version, second, requests, errors, latency };
  }
}

/**
 * Outcomes per endpoint, revision, arm, version and second: the evidence of rollouts. Each complete second is written
 * once as absolute numbers under this process's id, so writing it again changes nothing. Without PostgreSQL they wait.
 */
export class OutcomeCounters implements AsyncDisposable {
  private readonly processId = randomUUID();
  private readonly counters = new Map<string, ArmCounter>();
  private readonly armTotals = new Map<string, ArmTotals>();
  private readonly closed: SecondRow[] = [];
  private timer: NodeJS.Timeout | undefined;
  private flushing: Promise<void> | undefined;
  private flushCount = 0;
  private isDatabaseAway = false;
  private isStopped = false;
  private readonly nowMs: () => number;

  constructor(private readonly settings: OutcomeCountersSettings) {
    this.nowMs = settings.nowMs ?? Date.now;
    this.writeAfterThisSecond();
  }

  /** The one counter of this arm; to be kept with the arm, for the key is built here. */
  counterOf(arm: LiveArm): ArmCounter {
    const key = `${arm.endpoint}\n${arm.revision}\n${arm.name}\n${arm.version.version}`;
    let counter = this.counters.get(key);
    if (counter === undefined) {
      counter = new ArmCounter(arm, this.totalsOf(arm), this.closed, Math.floor(this.nowMs() / 1_000));
      this.counters.set(key, counter);
    }
    return counter;
  }

  get totals(): Iterable<ArmTotals> {
    return this.armTotals.values();
  }

  /** Writes every complete second. Failure leaves them for the next time. */
  flush(): Promise<void> {
    const before = this.flushing ?? Promise.resolve();
    this.flushing = before.then(() => this.flushNow());
    return this.flushing;
  }

  private async flushNow(): Promise<void> {
    this.closeUntil(Math.floor(this.nowMs() / 1_000));
    await this.write();
    this.flushCount += 1;
    if (this.flushCount % retentionEveryFlushes !== 1) return;
    this.forgetIdleRevisions();
    await this.forgetOld();
  }

  /** Writes also the second that runs now: nothing comes after it. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.isStopped = true;
    clearTimeout(this.timer);
    await this.flushing;
    this.closeUntil(Math.floor(this.nowMs() / 1_000) + 1);
    await this.write();
  }

  private writeAfterThisSecond(): void {
    this.timer = setTimeout(
      () => {
        void this.flush().finally(() => {
          if (!this.isStopped) this.writeAfterThisSecond();
        });
      },
      1_000 - (this.nowMs() % 1_000) + flushDelayMs,
    );
    this.timer.unref();
  }

  private totalsOf(arm: LiveArm): ArmTotals {
    const [endpoint, version] = [arm.endpoint, arm.version.version];
    const key = `${endpoint}\n${arm.name}\n${version}`;
    let totals = this.armTotals.get(key);
    if (totals === undefined) {
      const none: Record<Outcome, number> = { ok: 0, cached: 0, caller: 0, model: 0, overload: 0 };
      totals = {
        endpoint,
        arm: arm.name,
        version,
        outcomes: none,
        latency: new Float64Array(latencyBucketCount),
        latencySumMs: 0,
      };
      this.armTotals.set(key, totals);
    }
    return totals;
  }

  // No request of a replaced revision is still running when its counter has rested for so long.
  private forgetIdleRevisions(): void {
    const newest = new Map<string, number>();
    for (const { arm } of this.counters.values()) {
      newest.set(arm.endpoint, Math.max(arm.revision, newest.get(arm.endpoint) ?? 0));
    }
    const restedUntil = this.nowMs() / 1_000 - idleSeconds;
    for (const [key, { arm, lastSecond }] of this.counters) {
      if (arm.revision < newest.get(arm.endpoint)! && lastSecond < restedUntil) this.counters.delete(key);
    }
  }

  private closeUntil(second: number): void {
    for (const counter of this.counters.values()) counter.close(second);
    const oldest = new Date(this.nowMs() - secondsToMs(keptSeconds)).toISOString();
    const expired = this.closed.findLastIndex((row) => row.second < oldest) + 1;
    if (expired === 0) return;
    this.closed.splice(0, expired);
    this.settings.log.error(
      { rows: expired },
      'outcome counters older than 15 minutes could not be written and are lost',
    );
  }

  private async write(): Promise<void> {
    try {
      while (this.closed.length > 0) {
        const part = this.closed.slice(0, rowsPerStatement);
        await this.settings.database.query(upsert, [this.processId, JSON.stringify(part)]);
        this.closed.splice(0, part.length);
      }
      if (this.isDatabaseAway) this.settings.log.info('outcome counters are written again');
      this.isDatabaseAway = false;
    } catch (error) {
      if (!this.isDatabaseAway)
        this.settings.log.warn({ err: error }, 'outcome counters cannot be written; they wait in memory');
      this.isDatabaseAway = true;
    }
  }

  private async forgetOld(): Promise<void> {
    await deleteInPortions(this.settings, {
      lock: retentionLock,
      statement: `DELETE FROM outcome_counters WHERE ctid = ANY(ARRAY(
        SELECT ctid FROM outcome_counters WHERE second < now() - interval '24 hours' LIMIT $1))`,
    });
  }
}

/** @returns the quantile of all latencies since the start, in milliseconds, or undefined when there are none */
export function quantileOf(counts: Float64Array, quantile: number): number | undefined {
  let total = 0;
  for (const count of counts) total += count;
  const rank = Math.max(1, Math.ceil(quantile * total));
  let seen = 0;
  for (let bucket = 0; bucket < counts.length; bucket += 1) {
    seen += counts[bucket]!;
    if (total > 0 && seen >= rank) return latencyOfBucket(bucket);
  }
  return undefined;
}

const upsert = `
  INSERT INTO outcome_counters (process, endpoint, revision, arm, version, second, requests, errors, latency)
  SELECT $1::uuid, r.endpoint, r.revision, r.arm, r.version, r.second, r.requests, r.errors, r.latency
    FROM jsonb_to_recordset($2::jsonb) AS r(endpoint text, revision integer, arm text, version text, second timestamptz,
                                            requests integer, errors integer, latency jsonb)
  ON CONFLICT (endpoint, second, revision, arm, version, process)
  DO UPDATE SET requests = EXCLUDED.requests, errors = EXCLUDED.errors, latency = EXCLUDED.latency`;
