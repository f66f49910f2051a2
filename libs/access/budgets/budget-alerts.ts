import { createHmac } from 'node:crypto';
import { minutes, secondsToMs } from '#libs/kernel';
import type { Logger } from '#libs/platform';
import type { Database, Tx } from '#libs/store';
import type { SecretSeal } from '../secret-seal.js';
import { webhookPurpose } from './budget-register.js';

export interface BudgetAlertsSettings {
  database: Database;
  seal: SecretSeal;
  log: Logger;
  /** Sends a POST; resolves with the status. Whoever gives it sees to where it may go. */
  post(url: string, headers: Record<string, string>, body: string): Promise<number>;
  lookEveryMs?: number;
}

interface AlertRow {
  id: string;
  budget_id: string;
  name: string;
  subject_kind: string;
  subject_id: string;
  unit: string;
  threshold: number;
  spent: string;
  limit_units: string;
  starts_at: Date;
  at: Date;
  attempts: number;
  webhook_url: string;
  webhook_key_id: string;
  webhook_secret: Buffer;
}

const defaultLookEveryMs = secondsToMs(2);
/** Between tries: 5 s, 10 s, 20 s, and so on up to an hour; a day of them in all. */
const firstRetrySeconds = 5;
const longestRetrySeconds = minutes(60);
const mostAttempts = 32;

/**
 * Delivers the warnings of budgets to their webhooks, signed as Standard Webhooks have it. A warning was written in the
 * transaction that found it, so it is sent at least once whichever process dies; its id tells repetitions.
 * Source: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
 */
export class BudgetAlerts implements AsyncDisposable {
  private timer: NodeJS.Timeout | undefined;
  private delivering: Promise<void> | undefined;

  constructor(private readonly settings: BudgetAlertsSettings) {}

  start(): void {
    this.timer = setInterval(() => void this.deliver(), this.settings.lookEveryMs ?? defaultLookEveryMs);
    this.timer.unref();
  }

  /** Sends what is due. */
  deliver(): Promise<void> {
    this.delivering ??= this.deliverAll()
      .catch((err: unknown) => this.settings.log.debug({ err }, 'warnings of budgets cannot be looked for now'))
      .finally(() => (this.delivering = undefined));
    return this.delivering;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.timer);
    await this.delivering;
  }

  private async deliverAll(): Promise<void> {
    for (;;) {
      const alert = await this.settings.database.run((tx) => claim(tx));
      if (alert === undefined) return;
      if (await this.send(alert))
        await this.settings.database.query(
          'UPDATE budget_alerts SET delivered_at = now(), due_at = NULL WHERE id = $1',
          [alert.id],
        );
    }
  }

  private async send(alert: AlertRow): Promise<boolean> {
    const { seal, log, post } = this.settings;
    try {
      const sealed = { keyId: alert.webhook_key_id, sealed: alert.webhook_secret };
      const secret = seal.open(sealed, webhookPurpose(alert.budget_id));
      if (secret === undefined) throw new Error('its secret was sealed under another master key');
      const body = bodyOf(alert);
      const timestamp = String(Math.floor(Date.now() / 1_000));
      const headers = {
        'content-type': 'application/json',
        'webhook-id': alert.id,
        'webhook-timestamp': timestamp,
        'webhook-signature': `v1,${signatureOf(secret, alert.id, timestamp, body)}`,
      };
      const status = await post(alert.webhook_url, headers, body);
      if (status >= 200 && status < 300) return true;
      log.warn(
        { budget: alert.budget_id, status },
        'the webhook of a budget did not take a warning; it is tried again',
      );
    } catch (err) {
      log.warn({ budget: alert.budget_id, err }, 'the webhook of a budget cannot be reached; it is tried again');
    }
    return false;
  }
}

export function signatureOf(secret: string, id: string, timestamp: string, body: string): string {
  const key = Buffer.from(secret.replace(/^whsec_/, ''), 'base64');
  return createHmac('sha256', key).update(`${id}.${timestamp}.${body}`).digest('base64');
}

/** Before it is sent its next try is set: a process that dies while sending leaves it to the next one. */
async function claim(tx: Tx): Promise<AlertRow | undefined> {
  const [row] = (await tx.query(
    `SELECT a.id, a.budget_id, a.threshold, a.spent, a.limit_units, a.starts_at, a.at, a.attempts, b.name, b.subject_kind,
            b.subject_id, b.unit, b.webhook_url, b.webhook_key_id, b.webhook_secret
       FROM budget_alerts a JOIN budgets b ON b.id = a.budget_id
      WHERE a.due_at <= clock_timestamp() AND b.webhook_url IS NOT NULL
      ORDER BY a.due_at LIMIT 1 FOR UPDATE OF a SKIP LOCKED`,
  )) as AlertRow[];
  if (row === undefined) return undefined;
  const waitSeconds = Math.min(longestRetrySeconds, firstRetrySeconds * 2 ** row.attempts);
  await tx.query(
    `UPDATE budget_alerts SET attempts = attempts + 1,
       due_at = CASE WHEN attempts + 1 < ${mostAttempts} THEN clock_timestamp() + make_interval(secs => $2) END WHERE id = $1`,
    [row.id, waitSeconds],
  );
  return row;
}

const bodyOf = (alert: AlertRow): string =>
  JSON.stringify({
    type: 'budget.threshold',
    timestamp: alert.at.toISOString(),
    data: {
      budgetId: alert.budget_id,
      budget: alert.name,
      subject: { kind: alert.subject_kind, id: alert.subject_id },
      unit: alert.unit,
      thresholdPercent: alert.threshold,
      spent: Number(alert.spent),
      limit: Number(alert.limit_units),
      periodStartsAt: alert.starts_at.toISOString(),
    },
  });
