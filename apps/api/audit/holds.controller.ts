import { appendAudit, Auditing, type LegalHold } from '#libs/audit';
import { Body, Controller, Delete, Get, Inject, Param, Post } from '@nestjs/common';
import { requireUuid } from '../http/known-id.js';
import { ByCaller, type Caller } from '../http/caller.js';
import { Operation } from '../http/operation.js';
import { holdListSchema, holdSchema, newHoldSchema, type NewHoldBody } from './audit-schema.js';

const tag = 'audit';

@Controller('/api/audit/holds')
export class HoldsController {
  constructor(@Inject(Auditing) private readonly auditing: Auditing) {}

  @Post()
  @Operation({
    permit: 'audit.hold',
    tag,
    summary: 'Keep rows of the trail beyond their time; a scope that is left out covers all rows',
    body: newHoldSchema,
    answers: { 201: { description: 'the hold is in force', schema: holdSchema } },
  })
  create(
    @Body({ schema: newHoldSchema }) body: NewHoldBody,
    @ByCaller() { actor: by, requestId }: Caller,
  ): Promise<LegalHold> {
    const { from, until, ...scope } = body;
    const period = { ...(from && { from: new Date(from) }), ...(until && { until: new Date(until) }) };
    return this.auditing.holds.create({ ...scope, ...period, by, requestId });
  }

  @Get()
  @Operation({
    permit: 'audit.verify',
    tag,
    summary: 'List legal holds, released ones too, the newest first',
    answers: { 200: { description: 'the holds', schema: holdListSchema } },
  })
  async list(@ByCaller() caller: Caller): Promise<{ holds: LegalHold[] }> {
    await this.auditing.database.run((tx) =>
      appendAudit(tx, { ...caller, action: 'audit.hold-read', resource: 'audit:holds', outcome: 'done' }),
    );
    return { holds: await this.auditing.holds.list() };
  }

  @Delete('/:id')
  @Operation({
    permit: 'audit.hold',
    tag,
    summary: 'Release a legal hold; what it covered may be purged when its time is over',
    params: { id: 'the hold' },
    answers: { 200: { description: 'released', schema: holdSchema } },
    refusals: ['SLU_AUDIT_HOLD_UNKNOWN'],
  })
  release(@Param('id') id: string, @ByCaller() { actor, requestId }: Caller): Promise<LegalHold> {
    requireUuid(id, 'SLU_AUDIT_HOLD_UNKNOWN');
    return this.auditing.holds.release(id, actor, requestId);
  }
}
