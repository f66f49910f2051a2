import { appendAudit } from '#libs/audit';
import { sluiceError } from '#libs/kernel';
import type { Logger } from '#libs/platform';
import type { Database, Tx } from '#libs/store';
import { randomUUID } from 'node:crypto';
import type { ErasureCertificate } from './erasure-certificate.js';
import type { ErasureWorkflows } from './erasure-workflows.js';

/** GDPR Art. 17(1), (a) to (f). A closed list: a free text could name the very person. */
export const erasureGrounds = [
  'no-longer-necessary',
  'consent-withdrawn',
  'objection',
  'unlawful-processing',
  'legal-obligation',
  'child-consent',
] as const;
export type ErasureGround = (typeof erasureGrounds)[number];

export interface ErasureView {
  id: string;
  /** The pseudonym. */
  subject: string;
  ground: string;
  state: 'running' | 'erased';
  requestedAt: Date;
  requestedBy: string;
  finishedAt: Date | null;
  stores: { store: string; erased: number; finishedAt: Date | null }[];
  certificate: ErasureCertificate | null;
}

export interface ErasureRequest {
  subject: string;
  tenantId: string;
  ground: ErasureGround;
  actor: string;
  requestId?: string | undefined;
}

const viewSql = `SELECT id, subject, ground, CASE WHEN finished_at IS NULL THEN 'running' ELSE 'erased' END AS state,
    requested_at AS "requestedAt", requested_by AS "requestedBy", finished_at AS "finishedAt", certificate,
    COALESCE((SELECT json_agg(json_build_object('store', store, 'erased', erased, 'finishedAt', s.finished_at)
      ORDER BY s.finished_at, store) FROM erasure_steps s WHERE s.erasure_id = e.id), '[]') AS stores
  FROM erasures e`;

/** What people ask for and see of erasures. A request is kept before anything is started, so it cannot be lost. */
export class Erasures {
  constructor(
    private readonly database: Database,
    private readonly workflows: Pick<ErasureWorkflows, 'start'>,
    private readonly log: Logger,
  ) {}

  /** While an erasure of the subject runs, that one is the answer. With Temporal away it begins as soon as it is back. */
  async request(asked: ErasureRequest): Promise<ErasureView> {
    const view = await this.database.run(async (tx) => {
      // A second request waits here for the first one's row.
      const inserted = (await tx.query(
        `INSERT INTO erasures (id, subject, tenant_id, ground, requested_by) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (subject) WHERE finished_at IS NULL DO NOTHING RETURNING id`,
        [randomUUID(), asked.subject, asked.tenantId, asked.ground, asked.actor],
      )) as { id: string }[];
      if (inserted.length > 0) await told(tx, inserted[0]!.id, asked);
      const [running] = (await tx.query(`${viewSql} WHERE subject = $1 AND finished_at IS NULL`, [
        asked.subject,
      ])) as ErasureView[];
      return running!;
    });
    await this.start(view);
    return view;
  }

  list(tenantId: string | undefined, subject: string | undefined): Promise<ErasureView[]> {
    return this.database.query<ErasureView>(
      `${viewSql} WHERE ($1::uuid IS NULL OR tenant_id = $1) AND ($2::uuid IS NULL OR subject = $2)
       ORDER BY requested_at DESC, id LIMIT 200`,
      [tenantId ?? null, subject ?? null],
    );
  }

  /** @throws SLU_PRIVACY_ERASURE_UNKNOWN */
  async get(id: string, tenantId: string | undefined): Promise<ErasureView> {
    const [view] = await this.database.query<ErasureView>(
      `${viewSql} WHERE id = $1 AND ($2::uuid IS NULL OR tenant_id = $2)`,
      [id, tenantId ?? null],
    );
    if (view === undefined) throw sluiceError('SLU_PRIVACY_ERASURE_UNKNOWN', { id });
    return view;
  }

  /** Starts what was asked for while Temporal was away, and what somebody ended by mistake. */
  async startForgotten(): Promise<void> {
    const running = await this.database.query<ErasureView>(
      `${viewSql} WHERE finished_at IS NULL AND requested_at < now() - interval '5 seconds' ORDER BY requested_at LIMIT 50`,
    );
    for (const view of running) await this.start(view);
  }

  private async start({ id, subject }: ErasureView): Promise<void> {
    try {
      await this.workflows.start({ erasureId: id, subject });
    } catch (err) {
      this.log.warn({ err, erasureId: id }, 'an erasure waits for Temporal and begins when it is back');
    }
  }
}

const told = (tx: Tx, id: string, { actor, subject, tenantId, ground, requestId }: ErasureRequest): Promise<void> =>
  appendAudit(tx, {
    actor,
    action: 'erasure.request',
    resource: `erasure:${id}`,
    outcome: 'done',
    tenantId,
    requestId,
    detail: { subject, ground },
  });
