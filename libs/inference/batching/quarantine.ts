import { hours, minutes, secondsToMs, sluiceError, type Clock } from '#libs/kernel';
import type { Logger } from '#libs/platform';
import { versionKey, type ServedVersion } from '../routes/route-table.js';
import { tensorsDigest } from '../tensors/tensor-digest.js';
import type { Tensor } from '../tensors/tensor.js';

/** An input that is refused, known by its digest alone, which depends on the version as well. */
export interface QuarantinedInput {
  readonly digest: string;
  readonly model: string;
  readonly version: string;
  /** How many replicas died of it. */
  readonly deaths: number;
  readonly quarantinedAt: Date;
  readonly expiresAt: Date;
}

export interface QuarantineSettings {
  clock: Clock;
  log: Logger;
  /** Called for each input that comes in here, to tell the other processes. */
  onQuarantined?: ((input: QuarantinedInput) => void) | undefined;
  deathsUntil?: number;
  quarantineSeconds?: number;
  suspicionSeconds?: number;
}

const defaultDeathsUntil = 2;
const defaultQuarantineSeconds = hours(1);
const defaultSuspicionSeconds = minutes(10);
/** Of each kind and version; the oldest goes first. Whoever makes up new inputs kills servers, but fills no memory. */
const mostKept = 1_000;

/** What is known of one version's inputs. */
interface Book {
  /** Digest to the wall time in milliseconds until which it is refused. */
  refused: Map<string, number>;
  suspects: Map<string, { deaths: number; untilMs: number }>;
}

/**
 * Inputs that killed their replica. Only a death that an input had for itself counts, twice, and without an answer in
 * between: so a replica that was stopped from outside brings no innocent input here. While nothing is under suspicion, a
 * request pays for one look-up.
 */
export class Quarantine {
  private readonly books = new Map<string, Book>();
  readonly totals = { refused: 0, quarantined: 0 };

  constructor(private readonly settings: QuarantineSettings) {}

  /** How many inputs are refused. */
  get size(): number {
    let sum = 0;
    for (const { refused } of this.books.values()) sum += refused.size;
    return sum;
  }

  /** @throws SLU_INFERENCE_QUARANTINED */
  check(version: ServedVersion, inputs: readonly Tensor[]): void {
    if (this.books.size === 0) return;
    const refused = this.books.get(version.key)?.refused;
    if (refused === undefined || refused.size === 0) return;
    const digest = digestOf(version, inputs);
    const until = refused.get(digest);
    if (until === undefined) return;
    if (until <= this.settings.clock.now().getTime()) {
      refused.delete(digest);
      return;
    }
    this.totals.refused += 1;
    throw sluiceError('SLU_INFERENCE_QUARANTINED', { digest, until: new Date(until).toISOString() });
  }

  /** An input ran alone: it killed its replica, or it was answered and is cleared of suspicion. */
  judge(version: ServedVersion, inputs: readonly Tensor[], hasKilled: boolean): void {
    // The server of a remote model is not ours to know the death of: a closed connection there means anything.
    if (version.format === 'remote') return;
    if (hasKilled) this.blame(version, digestOf(version, inputs));
    else this.clear(version, inputs);
  }

  /** Takes over what all processes know; whatever is not among it was lifted, or its time is over. */
  replace(inputs: readonly QuarantinedInput[]): void {
    for (const { refused } of this.books.values()) refused.clear();
    for (const { model, version, digest, expiresAt } of inputs)
      keep(this.bookOf(versionKey(model, version)).refused, digest, expiresAt.getTime());
  }

  /** Lets one in again, with a clean slate. */
  lift({ model, version, digest }: QuarantinedInput): void {
    const book = this.books.get(versionKey(model, version));
    book?.refused.delete(digest);
    book?.suspects.delete(digest);
  }

  private clear(version: ServedVersion, inputs: readonly Tensor[]): void {
    const suspects = this.books.get(version.key)?.suspects;
    if (suspects === undefined || suspects.size === 0) return;
    suspects.delete(digestOf(version, inputs));
    const nowMs = this.settings.clock.monotonicMs();
    for (const [digest, { untilMs }] of suspects) if (untilMs <= nowMs) suspects.delete(digest);
  }

  private blame(version: ServedVersion, digest: string): void {
    const { clock, deathsUntil = defaultDeathsUntil, suspicionSeconds = defaultSuspicionSeconds } = this.settings;
    const { suspects } = this.bookOf(version.key);
    const nowMs = clock.monotonicMs();
    const before = suspects.get(digest);
    const deaths = 1 + (before !== undefined && before.untilMs > nowMs ? before.deaths : 0);
    suspects.delete(digest);
    if (deaths >= deathsUntil) this.refuse(version, digest, deaths);
    else keep(suspects, digest, { deaths, untilMs: nowMs + secondsToMs(suspicionSeconds) });
  }

  private refuse({ key, model, version }: ServedVersion, digest: string, deaths: number): void {
    const { clock, log, quarantineSeconds = defaultQuarantineSeconds, onQuarantined } = this.settings;
    const quarantinedAt = clock.now();
    const expiresAt = new Date(quarantinedAt.getTime() + secondsToMs(quarantineSeconds));
    keep(this.bookOf(key).refused, digest, expiresAt.getTime());
    this.totals.quarantined += 1;
    log.warn(
      { version: key, inputDigest: digest, deaths, expiresAt },
      'an input kills replicas: it is refused from now on',
    );
    onQuarantined?.({ digest, model, version, deaths, quarantinedAt, expiresAt });
  }

  private bookOf(versionKey: string): Book {
    let book = this.books.get(versionKey);
    if (book === undefined) this.books.set(versionKey, (book = { refused: new Map(), suspects: new Map() }));
    return book;
  }
}

const digestOf = (version: ServedVersion, inputs: readonly Tensor[]): string =>
  tensorsDigest(`${version.key}\n${version.contentDigest}`, inputs);

function keep<Value>(map: Map<string, Value>, key: string, value: Value): void {
  if (map.size >= mostKept) map.delete(map.keys().next().value!);
  map.set(key, value);
}
