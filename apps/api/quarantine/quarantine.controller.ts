import { QuarantineLedger, type QuarantinedInput } from '#libs/inference';
import { Controller, Delete, Get, Inject, Param } from '@nestjs/common';
import { z } from 'zod';
import { ByCaller, type Caller } from '../http/caller.js';
import { Operation } from '../http/operation.js';

const inputSchema = z.object({
  digest: z.string().describe('SHA-256 of the input for this version; the input itself is kept nowhere'),
  model: z.string(),
  version: z.string(),
  deaths: z.int().describe('how many replicas died of it'),
  quarantinedAt: z.iso.datetime(),
  expiresAt: z.iso.datetime(),
});
const inputListSchema = z.object({ inputs: z.array(inputSchema) });
const tag = 'quarantine';

@Controller('/api/quarantine')
export class QuarantineController {
  constructor(@Inject(QuarantineLedger) private readonly ledger: QuarantineLedger) {}

  @Get()
  @Operation({
    permit: 'quarantine.read',
    tag,
    summary: 'List inputs that are refused because they killed replicas, the newest first',
    answers: { 200: { description: 'the inputs', schema: inputListSchema } },
  })
  async list(): Promise<{ inputs: QuarantinedInput[] }> {
    return { inputs: await this.ledger.list() };
  }

  @Delete('/:digest')
  @Operation({
    permit: 'quarantine.lift',
    tag,
    summary: 'Let an input in again',
    params: { digest: 'the digest of the input' },
    answers: { 200: { description: 'lifted', schema: inputSchema } },
    refusals: ['SLU_QUARANTINE_UNKNOWN'],
  })
  lift(@Param('digest') digest: string, @ByCaller() { actor, requestId }: Caller): Promise<QuarantinedInput> {
    return this.ledger.lift(digest, actor, requestId);
  }
}
