import { mebibytes, minutes, secondsToMs } from '#libs/kernel';
import type { Logger } from '#libs/platform';
import type { Database, Tx } from '#libs/store';
import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import type { DataKeys } from '../envelope/index.js';
import type { OpenWindows } from './open-windows.js';
import { payloadBinding } from './payload-archive.js';
import { redactValue, type PayloadRedactor, type Redactions } from './payload-redactor.js';

/** A request with its answer, as somebody asked for it to be logged. */
export interface CapturedPayload {
  requestId: string;
  /** Wall time of the arrival, in milliseconds since 1970. */
  atMs: number;
  endpoint: string;
  version: string;
  tenantId: string;
  subject: string | undefined;
  /** About how much memory waits with it. */
  bytes: number;
  /** Makes a JSON value of it. Called later, away from the request. */
  content(): unknown;
}

export interface PayloadRecorderSettings {
  database: Database;
  dataKeys: Pick<DataKeys, 'seal'>;
  windows: Pick<OpenWindows, 'isOpen'>;
  redactor: PayloadRedactor;
  log: Logger;
  maxQueued?: number;
  maxQueuedBytes?: number;
}

const perTransaction = 16;
const largestContentBytes = mebibytes(1);
const sayDropsEveryMs = secondsToMs(minutes(1));
/** Of each second of this thread that redaction takes, requests get four. */
const restFactor = 4;

interface Redacted extends Omit<CapturedPayload, 'content' | 'bytes'> {
  content: Buffer;
  redactions: Redactions;
}

/**
 * Logs payloads of endpoints whose window is open: redacted, then sealed, then written, and never on a request's own time. What
 * does not fit into the queue, or cannot be written at once, is dropped, counted and said: it is never put on disk.
 */
export class PayloadRecorder implements AsyncDisposable {
  private readonly queue: CapturedPayload[] = [];
  private queuedBytes = 0;
  private working: Promise<void> | undefined;
  private isEnding = false;
  private unsaid = new Map<string, number>();
  private saidMs = -Infinity;
  droppedPayloads = 0;

  constructor(private readonly settings: PayloadRecorderSettings) {}

  isOpen(endpoint: string): boolean {
    return this.settings.windows.isOpen(endpoint);
  }

  take(payload: CapturedPayload): void {
    const { maxQueued = 256, maxQueuedBytes = mebibytes(16) } = this.settings;
    if (this.isEnding || this.queue.length >= maxQueued || this.queuedBytes + payload.bytes > maxQueuedBytes)
      return this.drop(payload.endpoint, 'the queue is full');
    this.queue.push(payload);
    this.queuedBytes += payload.bytes;
    this.working ??= this.work().finally(() => (this.working = undefined));
  }

  /** Resolves when nothing waits. */
  async flush(): Promise<void> {
    while (this.working !== undefined) await this.working;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.isEnding = true;
    await this.flush();
  }

  private async work(): Promise<void> {
    while (this.queue.length > 0) {
      // After the answers of this turn are out.
      await new Promise((resolve) => setImmediate(resolve));
      const ready: Redacted[] = [];
      while (ready.length < perTransaction) {
        const payload = this.queue.shift();
        if (payload === undefined) break;
        this.queuedBytes -= payload.bytes;
        const beganMs = performance.now();
        const redacted = this.redact(payload);
        if (redacted !== undefined) ready.push(redacted);
        const tookMs = performance.now() - beganMs;
        if (!this.isEnding && tookMs > 1) await pause(restFactor * tookMs);
      }
      await this.write(ready);
    }
  }

  private redact(payload: CapturedPayload): Redacted | undefined {
    const { content: render, bytes: _bytes, ...rest } = payload;
    const redactions: Redactions = {};
    // Whatever it is redacted to, it would still be too large; and reading it takes its time.
    if (payload.bytes > 2 * largestContentBytes) {
      this.drop(payload.endpoint, 'it is too large');
      return undefined;
    }
    try {
      const content = Buffer.from(JSON.stringify(redactValue(render(), this.settings.redactor, redactions)));
      if (content.length <= largestContentBytes) return { ...rest, content, redactions };
      this.drop(payload.endpoint, 'it is too large');
    } catch {
      // The error could quote what it failed on.
      this.drop(payload.endpoint, 'it cannot be written as JSON');
    }
    return undefined;
  }

  private async write(payloads: readonly Redacted[]): Promise<void> {
    // In one order everywhere, so that two processes that make the same keys do not wait for each other.
    const sorted = [...payloads].sort((one, other) => ((one.subject ?? '') < (other.subject ?? '') ? -1 : 1));
    const counts = this.unsaid;
    this.unsaid = new Map();
    try {
      await this.settings.database.run(async (tx) => {
        for (const payload of sorted) await this.insert(tx, payload);
        for (const [endpoint, count] of counts) {
          await tx.query(
            `UPDATE payload_windows SET dropped = dropped + $2 WHERE endpoint = $1 AND closed_at IS NULL`,
            [endpoint, count],
          );
        }
      });
    } catch (err) {
      for (const [endpoint, count] of counts) this.unsaid.set(endpoint, (this.unsaid.get(endpoint) ?? 0) + count);
      // Of the error only its name: a driver's error may carry parameters, though they are sealed.
      const reason = err instanceof Error ? err.name : 'unknown';
      for (const { endpoint } of payloads) this.drop(endpoint, `it cannot be stored (${reason})`);
    }
  }

  private async insert(tx: Tx, payload: Redacted): Promise<void> {
    const { requestId, endpoint, version, tenantId, subject, atMs, redactions } = payload;
    const at = new Date(atMs);
    const wanted = (await tx.query(
      `SELECT 1 FROM payload_windows WHERE endpoint = $1 AND closed_at IS NULL AND ends_at > now()
         AND NOT EXISTS (SELECT FROM erasures WHERE subject = $2::uuid AND requested_at >= $3)`,
      [endpoint, subject ?? null, at],
    )) as unknown[];
    if (wanted.length === 0) return;
    const id = randomUUID();
    const { dataKeyId, sealed } = await this.settings.dataKeys.seal(tx, payload.content, payloadBinding(id, subject));
    await tx.query(
      `INSERT INTO payload_records (id, at, request_id, endpoint, version, window_id, tenant_id, subject, data_key_id,
         sealed, redactions)
       SELECT $1, $2, $3, $4, $5, id, $6, $7, $8, $9, $10 FROM payload_windows WHERE endpoint = $4 AND closed_at IS NULL`,
      [id, at, requestId, endpoint, version, tenantId, subject ?? null, dataKeyId, sealed, redactions],
    );
  }

  private drop(endpoint: string, reason: string): void {
    this.droppedPayloads += 1;
    this.unsaid.set(endpoint, (this.unsaid.get(endpoint) ?? 0) + 1);
    const nowMs = performance.now();
    if (nowMs - this.saidMs < sayDropsEveryMs) return;
    this.saidMs = nowMs;
    this.settings.log.warn({ endpoint, reason, dropped: this.droppedPayloads }, 'payloads are not logged');
  }
}
