import { appendAudit, Auditing, readAudit, type AuditRow, type KeyChange, type Verification } from '#libs/audit';
import { tenantWithin } from '#libs/access';
import { Controller, Get, Inject, Query, Req, StreamableFile } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import { Readable } from 'node:stream';
import { ByCaller, type Caller } from '../http/caller.js';
import { Operation } from '../http/operation.js';
import {
  auditKeySchema,
  auditListSchema,
  auditQuerySchema,
  verificationSchema,
  verifyQuerySchema,
  type AuditQuery,
  type VerifyQuery,
} from './audit-schema.js';

const tag = 'audit';
const defaultLimit = 100;

/** The audit trail. Every read of it is a row of it. */
@Controller('/api/audit')
export class AuditController {
  constructor(@Inject(Auditing) private readonly auditing: Auditing) {}

  @Get()
  @Operation({
    permit: 'audit.read',
    tag,
    summary: 'Read the audit trail, the newest rows first',
    query: auditQuerySchema,
    answers: { 200: { description: 'a page of rows', schema: auditListSchema } },
  })
  async list(
    @Query({ schema: auditQuerySchema }) query: AuditQuery,
    @ByCaller() caller: Caller,
    @Req() { principal }: FastifyRequest,
  ): Promise<{ rows: AuditRow[]; next: string | null }> {
    const { limit = defaultLimit, cursor, from, until, ...filter } = query;
    return this.auditing.database.run(async (tx) => {
      const period = { ...(from && { from: new Date(from) }), ...(until && { until: new Date(until) }) };
      // Of another tenant than the one that runs the platform, a reader sees the rows of that tenant, whatever was asked for.
      const tenantId = tenantWithin(principal, 'audit.read');
      const wanted = { ...filter, ...period, ...(tenantId !== undefined && { tenantId }) };
      const rows = await readAudit(tx, wanted, limit, cursor);
      await appendAudit(tx, {
        ...caller,
        tenantId: principal.tenantId,
        action: 'audit.read',
        resource: 'audit:rows',
        outcome: 'done',
        detail: { ...filter, from: from ?? null, until: until ?? null, before: cursor ?? null, rows: rows.length },
      });
      const last = rows.length === limit ? rows.at(-1) : undefined;
      return { rows, next: last === undefined ? null : String(last.seq) };
    });
  }

  @Get('/verify')
  @Operation({
    permit: 'audit.verify',
    tag,
    summary: 'Verify the chain against the master key and the checkpoints of the second place',
    query: verifyQuerySchema,
    answers: { 200: { description: 'what was found; clean when nothing', schema: verificationSchema } },
  })
  async verify(
    @Query({ schema: verifyQuerySchema }) { after }: VerifyQuery,
    @ByCaller() caller: Caller,
  ): Promise<Verification> {
    await this.record(caller, 'audit.verify');
    return this.auditing.verifier.verify(after);
  }

  @Get('/export')
  @Operation({
    permit: 'audit.verify',
    tag,
    summary: 'Export the whole chain with a signed end, for verifying it elsewhere',
    answers: { 200: { description: 'a JSON object per line', contentType: 'application/x-ndjson' } },
  })
  async export(@ByCaller() caller: Caller): Promise<StreamableFile> {
    await this.record(caller, 'audit.export');
    return new StreamableFile(Readable.from(this.auditing.export(), { objectMode: false, highWaterMark: 65_536 }), {
      type: 'application/x-ndjson',
      disposition: 'attachment; filename="audit.ndjson"',
    });
  }

  @Get('/key')
  @Operation({
    permit: 'audit.verify',
    tag,
    summary: 'Read the public key that signs checkpoints and tombstones',
    answers: { 200: { description: 'the key, and how it came after those before', schema: auditKeySchema } },
  })
  async key(@ByCaller() caller: Caller): Promise<{ keyId: string; publicKey: string; changes: KeyChange[] }> {
    await this.record(caller, 'audit.key-read');
    return this.auditing.keys();
  }

  private async record(caller: Caller, action: string): Promise<void> {
    await this.auditing.database.run((tx) =>
      appendAudit(tx, { ...caller, action, resource: 'audit:chain', outcome: 'done' }),
    );
  }
}
