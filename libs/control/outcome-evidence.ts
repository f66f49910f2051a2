import type { ArmEvidence, EvidenceSegment } from '#libs/decisions';
import { minutes, secondsToMs, type LatencyCounts } from '#libs/kernel';
import type { Database } from '#libs/store';

export interface EvidenceQuestion {
  endpoint: string;
  /** Route revisions of the rollout, in order. Each is one segment of the answer. */
  revisions: readonly number[];
}

interface CounterRow {
  process: string;
  revision: number;
  arm: string;
  /** ISO 8601, so that it compares as text. */
  second: string;
  requests: number;
  errors: number;
  latency: LatencyCounts;
}

interface MutableArm {
  requests: number;
  errors: number;
  latency: Record<string, number>;
}

type Sums = Map<number, { stable: MutableArm; candidate: MutableArm }>;

interface Settled {
  /**
   * Per process, since each writes its seconds in order but has a clock and an outage of its own: rows of this second
   * and before are in `sums` and are not read again.
   */
  upTo: ReadonlyMap<string, string>;
  /** The same for every process: nothing of this second or before arrives any more. */
  floor: string;
  sums: Sums;
}

/** Rows this much older than the newest of the same process are complete: it writes one second after the other. */
const settleAfterSeconds = 60;
/** A process keeps what it cannot write for 15 minutes; the rest is for clocks that disagree. */
const latestArrivalSeconds = minutes(20);
const mostRemembered = 100;
const beginning = '1970-01-01T00:00:00.000Z';
const nothingSettled: Settled = { upTo: new Map(), floor: beginning, sums: new Map() };

/**
 * Sums what the routers counted, by the arm that really served. A long step has many rows, so the old ones are remembered
 * as a sum; the memory is only a shortcut, a new process reads everything once.
 */
export class OutcomeEvidence {
  private readonly remembered = new Map<string, Settled>();

  constructor(private readonly database: Pick<Database, 'query'>) {}

  async read({ endpoint, revisions }: EvidenceQuestion): Promise<EvidenceSegment[]> {
    if (revisions.length === 0) return [];
    const key = `${endpoint}:${revisions.join(',')}`;
    const settled = this.remembered.get(key) ?? nothingSettled;
    const rows = await this.rowsAfter(settled, endpoint, revisions);
    const total = copyOf(settled.sums);
    for (const row of rows) add(total, row);
    this.remember(key, settled, rows);
    return revisions.map((revision) => total.get(revision) ?? { stable: noCounts(), candidate: noCounts() });
  }

  private async rowsAfter(settled: Settled, endpoint: string, revisions: readonly number[]): Promise<CounterRow[]> {
    return this.database.query<CounterRow>(
      `SELECT c.process, c.revision, c.arm, to_char(c.second AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS second,
              c.requests, c.errors, c.latency
         FROM outcome_counters c
         LEFT JOIN unnest($4::uuid[], $5::timestamptz[]) AS settled(process, up_to) ON settled.process = c.process
        WHERE c.endpoint = $1 AND c.revision = ANY($2) AND c.second > $3
          AND (settled.up_to IS NULL OR c.second > settled.up_to)
          AND c.second > (SELECT min(at) - interval '1 hour' FROM routes WHERE endpoint = $1 AND revision = ANY($2))`,
      [endpoint, revisions, settled.floor, [...settled.upTo.keys()], [...settled.upTo.values()]],
    );
  }

  private remember(key: string, settled: Settled, rows: readonly CounterRow[]): void {
    const newestOf = new Map<string, string>();
    for (const { process, second } of rows)
      if (second > (newestOf.get(process) ?? beginning)) newestOf.set(process, second);
    const upTo = new Map(settled.upTo);
    for (const [process, newest] of newestOf)
      upTo.set(
        process,
        later(upTo.get(process) ?? beginning, isoSecondsBefore(Date.parse(newest), settleAfterSeconds)),
      );
    // A clock that is ahead must not make others look late.
    const newest = Math.min(Date.now(), Date.parse([...newestOf.values()].reduce(later, settled.floor)));
    const floor = later(settled.floor, isoSecondsBefore(newest, latestArrivalSeconds));
    // A copy: another read of the same rollout may be under way on the old sums.
    const sums = copyOf(settled.sums);
    for (const row of rows) if (row.second <= later(floor, upTo.get(row.process)!)) add(sums, row);
    this.remembered.delete(key);
    this.remembered.set(key, { upTo, floor, sums });
    const oldest = this.remembered.keys().next().value;
    if (this.remembered.size > mostRemembered && oldest !== undefined) this.remembered.delete(oldest);
  }
}

const later = (one: string, other: string): string => (one > other ? one : other);

const isoSecondsBefore = (atMs: number, seconds: number): string =>
  new Date(Math.max(0, atMs - secondsToMs(seconds))).toISOString();

const noCounts = (): MutableArm => ({ requests: 0, errors: 0, latency: {} });

function add(sums: Sums, row: CounterRow): void {
  if (row.arm !== 'stable' && row.arm !== 'candidate') return;
  let segment = sums.get(row.revision);
  if (segment === undefined) {
    segment = { stable: noCounts(), candidate: noCounts() };
    sums.set(row.revision, segment);
  }
  const arm = segment[row.arm];
  arm.requests += row.requests;
  arm.errors += row.errors;
  for (const [bucket, count] of Object.entries(row.latency)) arm.latency[bucket] = (arm.latency[bucket] ?? 0) + count;
}

function copyOf(sums: Sums): Sums {
  const copyArm = (arm: ArmEvidence): MutableArm => ({ ...arm, latency: { ...arm.latency } });
  return new Map(
    [...sums].map(([revision, { stable, candidate }]) => [
      revision,
      { stable: copyArm(stable), candidate: copyArm(candidate) },
    ]),
  );
}
