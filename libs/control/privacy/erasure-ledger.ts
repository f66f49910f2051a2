import { appendAudit, type ErasureStore } from '#libs/audit';
import { sluiceError } from '#libs/kernel';
import type { Database, Tx } from '#libs/store';
import type { EraseAsk, ErasureInput } from '#workflows/erasure/contract';
import type { KeyObject } from 'node:crypto';
import { aboutCopies, keptByRight, signCertificate, type ErasureCertificate } from './erasure-certificate.js';

interface ErasureRow {
  id: string;
  subject: string;
  tenantId: string;
  ground: string;
  requestedAt: Date;
  certificate: ErasureCertificate | null;
  finishedAt: Date | null;
}

interface StepRow {
  store: string;
  erased: number;
  finishedAt: Date | null;
}

const erasureColumns = `id, subject, tenant_id AS "tenantId", ground, requested_at AS "requestedAt", certificate,
  finished_at AS "finishedAt"`;

/** Erasures as they go on: each step may be tried again and counts once, a certificate is made once. */
export class ErasureLedger {
  constructor(
    private readonly database: Database,
    private readonly stores: readonly ErasureStore[],
    private readonly signingKey: KeyObject,
  ) {}

  async plan({ erasureId }: ErasureInput): Promise<string[]> {
    return this.database.run(async (tx) => {
      await lockErasure(tx, erasureId);
      const names = this.stores.map(({ name }) => name);
      await tx.query(
        `INSERT INTO erasure_steps (erasure_id, store, erased) SELECT $1, unnest($2::text[]), 0 ON CONFLICT DO NOTHING`,
        [erasureId, names],
      );
      return names;
    });
  }

  async eraseFrom({ erasureId, store: name }: EraseAsk): Promise<number> {
    const store = this.stores.find((each) => each.name === name);
    // A worker of an older release knows less stores; a newer one takes the next attempt.
    if (store === undefined) throw new Error(`no store is called ${name}`);
    for (;;) {
      const step = await this.database.run((tx) => this.erasePortion(tx, erasureId, store));
      if (step.finishedAt !== null) return step.erased;
    }
  }

  async certify(erasureId: string): Promise<string> {
    return this.database.run(async (tx) => {
      const erasure = await lockErasure(tx, erasureId);
      if (erasure.finishedAt !== null) return erasure.finishedAt.toISOString();
      const steps = (await tx.query(
        `SELECT store, erased, finished_at AS "finishedAt" FROM erasure_steps WHERE erasure_id = $1 ORDER BY finished_at, store`,
        [erasureId],
      )) as StepRow[];
      const open = steps.filter(({ finishedAt }) => finishedAt === null).map(({ store }) => store);
      if (open.length > 0) throw new Error(`not everything is erased yet: ${open.join(', ')}`);
      const [clock] = (await tx.query('SELECT now() AS now')) as { now: Date }[];
      const finishedAt = clock!.now;
      await tx.query('UPDATE erasures SET finished_at = $2, certificate = $3 WHERE id = $1', [
        erasureId,
        finishedAt,
        this.certificate(erasure, steps, finishedAt),
      ]);
      const counts = Object.fromEntries(steps.map(({ store, erased }) => [store, erased]));
      await tell(tx, 'erasure.finish', erasure, counts);
      return finishedAt.toISOString();
    });
  }

  /**
   * Erases what came in late: a record that waited on a disk for PostgreSQL, or an answer that was under way.
   * @returns how many were found
   */
  async eraseLate(withinSeconds: number): Promise<number> {
    const finished = await this.database.query<ErasureRow>(
      `SELECT ${erasureColumns} FROM erasures WHERE finished_at > now() - interval '1 second' * $1 ORDER BY requested_at`,
      [withinSeconds],
    );
    let found = 0;
    for (const erasure of finished) {
      for (const store of this.stores.filter(({ name }) => name !== 'data-keys')) {
        found += await this.database.run(async (tx) => {
          const erased = await store.erasePortion(tx, erasure.subject, erasure.requestedAt);
          if (erased > 0) await tell(tx, 'erasure.late', erasure, { [store.name]: erased });
          return erased;
        });
      }
    }
    return found;
  }

  private async erasePortion(tx: Tx, erasureId: string, store: ErasureStore): Promise<StepRow> {
    const { subject, requestedAt } = await lockErasure(tx, erasureId);
    const [step] = (await tx.query(
      `SELECT store, erased, finished_at AS "finishedAt" FROM erasure_steps WHERE erasure_id = $1 AND store = $2`,
      [erasureId, store.name],
    )) as StepRow[];
    if (step === undefined) throw new Error(`store ${store.name} is not planned`);
    if (step.finishedAt !== null) return step;
    const erased = await store.erasePortion(tx, subject, requestedAt);
    // TypeORM answers [rows, count] for an UPDATE.
    const [rows] = (await tx.query(
      `UPDATE erasure_steps SET erased = erased + $3, finished_at = CASE WHEN $3 = 0 THEN now() END
       WHERE erasure_id = $1 AND store = $2 RETURNING store, erased, finished_at AS "finishedAt"`,
      [erasureId, store.name, erased],
    )) as [StepRow[], number];
    return rows[0]!;
  }

  private certificate(erasure: ErasureRow, steps: readonly StepRow[], finishedAt: Date): ErasureCertificate {
    const { id: erasureId, subject, tenantId, ground, requestedAt } = erasure;
    return signCertificate(
      {
        kind: 'sluice-erasure-certificate',
        version: 1,
        erasureId,
        subject,
        tenantId,
        ground,
        requestedAt: requestedAt.toISOString(),
        finishedAt: finishedAt.toISOString(),
        stores: steps.map((step) => ({ ...step, finishedAt: step.finishedAt!.toISOString() })),
        kept: keptByRight,
        copies: aboutCopies,
      },
      this.signingKey,
    );
  }
}

async function lockErasure(tx: Tx, erasureId: string): Promise<ErasureRow> {
  const [row] = (await tx.query(`SELECT ${erasureColumns} FROM erasures WHERE id = $1 FOR UPDATE`, [
    erasureId,
  ])) as ErasureRow[];
  if (row === undefined) throw sluiceError('SLU_PRIVACY_ERASURE_UNKNOWN', { id: erasureId });
  return row;
}

const tell = (
  tx: Tx,
  action: string,
  { id, subject, tenantId }: ErasureRow,
  counts: Record<string, number>,
): Promise<void> =>
  appendAudit(tx, {
    actor: `workflow:erasure:${id}`,
    action,
    resource: `erasure:${id}`,
    outcome: 'done',
    tenantId,
    detail: { ...counts, subject },
  });
