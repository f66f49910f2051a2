import { derivedSecret } from '#libs/platform';
import { hours, kibibytes, minutes, secondsToMs, sluiceError } from '#libs/kernel';
import type { Database, Tx } from '#libs/store';
import { randomUUID } from 'node:crypto';
import type { SealedText, SecretSeal } from '../secret-seal.js';
import { fingerprintOf, keyDigestOf, type IdempotentRequest } from './idempotent-request.js';

export interface IdempotencyLedgerSettings {
  database: Database;
  seal: SecretSeal;
  masterKey: Buffer;
  /** Called when the ledger cannot be written or swept. */
  onProblem?: (problem: unknown) => void;
  /** A claim whose process does not renew it for so long is anybody's. */
  leaseSeconds?: number;
}

/** An answer as it is sent again. */
export interface KeptAnswer {
  status: number;
  headers: Readonly<Record<string, string>>;
  body: string;
}

/** Either the first of its kind, to be carried out under a claim, or one that was answered before. */
export type Admission = { kind: 'first'; claim: IdempotencyClaim } | { kind: 'replay'; answer: KeptAnswer };

/** What a process holds while it carries out the first request under a key. */
export interface IdempotencyClaim {
  /**
   * In each unit of work of the request, before it commits. Where the unit's result is the answer, that is kept together with
   * the change, unless another unit follows. @throws SLU_REQUEST_IDEMPOTENCY_RUNNING when another has taken over
   */
  confirm(tx: Tx, answer?: KeptAnswer): Promise<void>;
  /** Keeps the answer, or gives the key back where nothing was done that must not be done twice. Never throws. */
  settle(outcome: ClaimOutcome): Promise<void>;
}

export interface ClaimOutcome {
  answer: KeptAnswer;
  /** Whether the same request may well be answered otherwise later: a fault, a limit, a body that cannot be taken. */
  isPassing: boolean;
  /** Whether whatever was written was taken back. */
  isUndone: boolean;
}

interface ClaimedRow {
  state: 'running' | 'changed' | 'answered';
  fingerprint: Buffer;
  leaseLeftSeconds: number;
  sealKeyId: string | null;
  sealedAnswer: Buffer | null;
}

const keptSeconds = hours(24);
const defaultLeaseSeconds = 30;
const sweepEverySeconds = minutes(5);
const sweptAtOnce = 5_000;
const answerLimitBytes = kibibytes(256);
const claimAttempts = 5;
const tryAgainStatus = 503;

/**
 * Requests by idempotency key, for all API processes. All times are PostgreSQL's, so that the clocks of processes need not
 * agree.
 */
export class IdempotencyLedger implements AsyncDisposable {
  private readonly secret: Buffer;
  private readonly held = new Set<string>();
  private readonly renewing: NodeJS.Timeout;
  private readonly sweeping: NodeJS.Timeout;

  constructor(private readonly settings: IdempotencyLedgerSettings) {
    this.secret = derivedSecret(settings.masterKey, 'sluice idempotency');
    this.renewing = setInterval(() => void this.quietly(() => this.renew()), secondsToMs(this.leaseSeconds) / 3);
    this.sweeping = setInterval(() => void this.quietly(() => this.sweep()), secondsToMs(sweepEverySeconds));
    this.renewing.unref();
    this.sweeping.unref();
  }

  /** @throws SLU_REQUEST_IDEMPOTENCY_OTHER, SLU_REQUEST_IDEMPOTENCY_RUNNING, SLU_REQUEST_IDEMPOTENCY_LOST */
  async admit(request: IdempotentRequest): Promise<Admission> {
    const place = { actor: request.actor, keyDigest: keyDigestOf(request.key) };
    const fingerprint = fingerprintOf(request, this.secret);
    for (let attempt = 0; attempt < claimAttempts; attempt += 1) {
      const claimId = randomUUID();
      if (await this.claim(place, fingerprint, claimId)) {
        this.held.add(claimId);
        return { kind: 'first', claim: this.claimOf(place, claimId) };
      }
      const row = await this.find(place);
      // Between the two the first request gave its key back.
      if (row !== undefined) return { kind: 'replay', answer: this.answerOf(row, place, fingerprint) };
    }
    throw running(1);
  }

  /** Removes what is kept no longer. @returns how many rows */
  async sweep(): Promise<number> {
    const swept = await this.settings.database.query(
      `DELETE FROM idempotency_keys WHERE (actor, key_digest) IN
         (SELECT actor, key_digest FROM idempotency_keys WHERE expires_at <= now() LIMIT $1) RETURNING 1`,
      [sweptAtOnce],
    );
    return swept.length;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.renewing);
    clearInterval(this.sweeping);
  }

  private get leaseSeconds(): number {
    return this.settings.leaseSeconds ?? defaultLeaseSeconds;
  }

  // A row is taken over when nobody may ask for it again, or when its process is gone before it changed anything.
  private async claim({ actor, keyDigest }: Place, fingerprint: Buffer, claimId: string): Promise<boolean> {
    const claimed = await this.settings.database.query(
      `INSERT INTO idempotency_keys AS known
         (actor, key_digest, fingerprint, claim_id, state, lease_until, created_at, expires_at)
       VALUES ($1, $2, $3, $4, 'running', now() + make_interval(secs => $5), now(), now() + make_interval(secs => $6))
       ON CONFLICT (actor, key_digest) DO UPDATE SET
         fingerprint = excluded.fingerprint, claim_id = excluded.claim_id, state = 'running',
         lease_until = excluded.lease_until, seal_key_id = NULL, sealed_answer = NULL,
         created_at = excluded.created_at, expires_at = excluded.expires_at
       WHERE known.expires_at <= now()
         OR (known.state = 'running' AND known.lease_until <= now() AND known.fingerprint = excluded.fingerprint)
       RETURNING 1`,
      [actor, keyDigest, fingerprint, claimId, this.leaseSeconds, keptSeconds],
    );
    return claimed.length === 1;
  }

  private async find({ actor, keyDigest }: Place): Promise<ClaimedRow | undefined> {
    const [row] = await this.settings.database.query<ClaimedRow>(
      `SELECT state, fingerprint, seal_key_id AS "sealKeyId", sealed_answer AS "sealedAnswer",
              extract(epoch FROM lease_until - now())::float8 AS "leaseLeftSeconds"
         FROM idempotency_keys WHERE actor = $1 AND key_digest = $2`,
      [actor, keyDigest],
    );
    return row;
  }

  private answerOf(row: ClaimedRow, place: Place, fingerprint: Buffer): KeptAnswer {
    if (!row.fingerprint.equals(fingerprint)) throw sluiceError('SLU_REQUEST_IDEMPOTENCY_OTHER');
    if (row.sealedAnswer !== null && row.sealKeyId !== null) {
      const text = this.settings.seal.open({ keyId: row.sealKeyId, sealed: row.sealedAnswer }, purposeOf(place));
      if (text !== undefined) return JSON.parse(text) as KeptAnswer;
    } else if (row.leaseLeftSeconds > 0) throw running(1);
    // What was sealed by a master key that is gone is lost as well.
    throw sluiceError('SLU_REQUEST_IDEMPOTENCY_LOST');
  }

  private claimOf(place: Place, claimId: string): IdempotencyClaim {
    let units = 0;
    let isAnswerKept = false;
    return {
      confirm: async (tx, answer) => {
        // After the answer nothing of this request is under way any more; what it left behind commits as it likes.
        if (!this.held.has(claimId)) return;
        units += 1;
        // Of several changes none knows the whole answer.
        const kept = units === 1 && answer !== undefined ? this.sealed(place, answer) : undefined;
        isAnswerKept = kept !== undefined;
        const confirmed: unknown = await tx.query(
          `UPDATE idempotency_keys SET state = $4, seal_key_id = $5, sealed_answer = $6
            WHERE actor = $1 AND key_digest = $2 AND claim_id = $3`,
          [
            place.actor,
            place.keyDigest,
            claimId,
            isAnswerKept ? 'answered' : 'changed',
            kept?.keyId ?? null,
            kept?.sealed ?? null,
          ],
        );
        if (Array.isArray(confirmed) && confirmed[1] === 1) return;
        throw running(1);
      },
      settle: async (outcome) => {
        this.held.delete(claimId);
        await this.quietly(() => this.settle(place, claimId, outcome, isAnswerKept));
      },
    };
  }

  /** @returns undefined when it is too large to be kept */
  private sealed(place: Place, answer: KeptAnswer): SealedText | undefined {
    const text = JSON.stringify(answer);
    return Buffer.byteLength(text) > answerLimitBytes ? undefined : this.settings.seal.seal(text, purposeOf(place));
  }

  private async settle(
    place: Place,
    claimId: string,
    { answer, isPassing, isUndone }: ClaimOutcome,
    isAnswerKept: boolean,
  ): Promise<void> {
    const { database } = this.settings;
    if (isPassing) {
      const given = await database.query(
        `DELETE FROM idempotency_keys WHERE claim_id = $1 AND (state = 'running' OR $2) RETURNING 1`,
        [claimId, isUndone],
      );
      // What went wrong after the change does not take it back: whoever asks again gets the answer that was kept with it.
      if (given.length === 1 || isAnswerKept) return;
    }
    const kept = answer.status === tryAgainStatus ? undefined : this.sealed(place, answer);
    // Something was changed, and this answer is not the one to give for a day: it says to try again, or cannot be kept.
    if (kept === undefined) {
      await database.query(
        `UPDATE idempotency_keys SET state = 'changed', seal_key_id = NULL, sealed_answer = NULL, lease_until = now()
          WHERE claim_id = $1`,
        [claimId],
      );
      return;
    }
    await database.query(
      `UPDATE idempotency_keys SET state = 'answered', seal_key_id = $2, sealed_answer = $3 WHERE claim_id = $1`,
      [claimId, kept.keyId, kept.sealed],
    );
  }

  private async renew(): Promise<void> {
    if (this.held.size === 0) return;
    await this.settings.database.query(
      `UPDATE idempotency_keys SET lease_until = now() + make_interval(secs => $2) WHERE claim_id = ANY ($1)`,
      [[...this.held], this.leaseSeconds],
    );
  }

  private async quietly(work: () => Promise<unknown>): Promise<void> {
    try {
      await work();
    } catch (problem) {
      this.settings.onProblem?.(problem);
    }
  }
}

interface Place {
  actor: string;
  keyDigest: Buffer;
}

// One's own answer under one's own key alone: a row that is copied elsewhere does not open.
const purposeOf = ({ actor, keyDigest }: Place): string[] => ['idempotency', actor, keyDigest.toString('hex')];

const running = (retryAfterSeconds: number): Error =>
  sluiceError('SLU_REQUEST_IDEMPOTENCY_RUNNING', { retryAfterSeconds }, { retryAfterSeconds });
