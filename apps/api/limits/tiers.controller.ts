import { Tiers, type TierView } from '#libs/access';
import { Body, Controller, Get, Inject, Param, Put } from '@nestjs/common';
import { ByCaller, type Caller } from '../http/caller.js';
import { Operation } from '../http/operation.js';
import { tierBodySchema, tierListSchema, tierName, tierSchema, type TierBody } from './limit-schema.js';

const tag = 'limits';
const params = { name: 'the tier' };

@Controller('/api/tiers')
export class TiersController {
  constructor(@Inject(Tiers) private readonly tiers: Tiers) {}

  @Get()
  @Operation({
    permit: 'limit.read',
    tag,
    summary: 'List the tiers and what each allows',
    answers: { 200: { description: 'the tiers, by name', schema: tierListSchema } },
  })
  async list(): Promise<{ tiers: TierView[] }> {
    return { tiers: await this.tiers.list() };
  }

  @Get('/:name')
  @Operation({
    permit: 'limit.read',
    tag,
    summary: 'Read what a tier allows',
    params,
    answers: { 200: { description: 'the tier', schema: tierSchema } },
    refusals: ['SLU_ACCESS_TIER_UNKNOWN'],
  })
  get(@Param('name') name: string): Promise<TierView> {
    return this.tiers.get(name);
  }

  @Put('/:name')
  @Operation({
    permit: 'limit.write',
    tag,
    summary: 'Make a tier, or change what it allows to everybody who has it, at once',
    params,
    body: tierBodySchema,
    answers: { 200: { description: 'the tier as it is now', schema: tierSchema } },
    refusals: ['SLU_ACCESS_LIMITS_STALE'],
  })
  put(
    @Param('name') name: string,
    @Body({ schema: tierBodySchema }) body: TierBody,
    @ByCaller() caller: Caller,
  ): Promise<TierView> {
    const { expectedRevision, ...limits } = body;
    return this.tiers.put(tierName(name), limits, { ...caller, expectedRevision });
  }
}
