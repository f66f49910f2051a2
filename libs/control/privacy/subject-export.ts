import { appendAudit, type ErasureStore } from '#libs/audit';
import type { Database } from '#libs/store';
import { accessesOf, type SubjectAccess } from './access-report.js';

export interface SubjectExportView {
  /** The pseudonym under which everything below is kept. */
  subject: string;
  madeAt: Date;
  stores: {
    store: string;
    holds: string;
    purpose: string;
    legalBasis: string;
    retentionDays: number | null;
    /** There is more than fits into one answer. */
    isCut: boolean;
    items: unknown[];
  }[];
  /** Who read or exported what of it. */
  accesses: SubjectAccess[];
}

export interface SubjectQuestion {
  subject: string;
  actor: string;
  requestId?: string | undefined;
}

const mostItems = 10_000;

/** Everything that is held of a subject: GDPR Art. 15 to know, Art. 20 to take along. */
export class SubjectExport {
  constructor(
    private readonly database: Database,
    private readonly stores: readonly ErasureStore[],
  ) {}

  /** The audit row commits before the answer is seen. */
  make({ subject, actor, requestId }: SubjectQuestion): Promise<SubjectExportView> {
    return this.database.run(async (tx) => {
      const [clock] = (await tx.query('SELECT now() AS now')) as { now: Date }[];
      const stores: SubjectExportView['stores'] = [];
      for (const store of this.stores) {
        const { holds, purpose, legalBasis, retentionDays } = store.processing;
        const found = await store.find(tx, subject, mostItems + 1);
        const items = found.slice(0, mostItems);
        stores.push({
          store: store.name,
          holds,
          purpose,
          legalBasis,
          retentionDays,
          isCut: found.length > mostItems,
          items,
        });
      }
      const accesses = await accessesOf(tx, { subject });
      await appendAudit(tx, {
        actor,
        action: 'subject.export',
        resource: `subject:${subject}`,
        outcome: 'done',
        requestId,
        detail: { subject, ...Object.fromEntries(stores.map(({ store, items }) => [store, items.length])) },
      });
      return { subject, madeAt: clock!.now, stores, accesses };
    });
  }
}
