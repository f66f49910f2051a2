import { appendAudit } from '#libs/audit';
import type { Database, Tx } from '#libs/store';
import type { SubjectQuestion } from './subject-export.js';

/** An act on something of a subject, as the audit trail has it. */
export interface SubjectAccess {
  at: Date;
  actor: string;
  /** Of the key, where the actor is one. */
  actorName: string | null;
  action: string;
  resource: string;
  outcome: string;
  requestId: string | null;
  purpose: string | null;
  reason: string | null;
}

export interface AccessReportView {
  subject: string;
  madeAt: Date;
  accesses: SubjectAccess[];
  /** There are more than fit into one answer: narrow the time. */
  isCut: boolean;
}

export interface AccessQuestion extends SubjectQuestion {
  since?: Date | undefined;
  until?: Date | undefined;
}

const mostAccesses = 5_000;

/** Who read what of a subject: what a breach notice needs (GDPR Art. 33), and an accounting of disclosures (45 CFR 164.528). */
export class AccessReport {
  constructor(private readonly database: Database) {}

  make(question: AccessQuestion): Promise<AccessReportView> {
    const { subject, actor, requestId } = question;
    return this.database.run(async (tx) => {
      const found = await accessesOf(tx, question);
      const accesses = found.slice(0, mostAccesses);
      await appendAudit(tx, {
        actor,
        action: 'access-report.read',
        resource: `subject:${subject}`,
        outcome: 'done',
        requestId,
        detail: { subject, accesses: accesses.length },
      });
      const [clock] = (await tx.query('SELECT now() AS now')) as { now: Date }[];
      return { subject, madeAt: clock!.now, accesses, isCut: found.length > mostAccesses };
    });
  }
}

/** One more than a report shows, so that it can say that there are more. */
export function accessesOf(
  tx: Tx,
  { subject, since, until }: Pick<AccessQuestion, 'subject' | 'since' | 'until'>,
): Promise<SubjectAccess[]> {
  return tx.query(
    `SELECT a.at, a.actor, k.name AS "actorName", a.action, a.resource, a.outcome, a.request_id AS "requestId",
            a.purpose, a.detail->>'reason' AS reason
     FROM audit_events a LEFT JOIN api_keys k ON a.actor = 'key:' || k.id
     WHERE a.detail->>'subject' = $1 AND ($2::timestamptz IS NULL OR a.at >= $2) AND ($3::timestamptz IS NULL OR a.at <= $3)
     ORDER BY a.at DESC LIMIT ${mostAccesses + 1}`,
    [subject, since ?? null, until ?? null],
  ) as Promise<SubjectAccess[]>;
}
