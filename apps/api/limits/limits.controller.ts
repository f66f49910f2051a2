import { LimitOverrides, limitScopes, type LimitOverrideView, type LimitScope } from '#libs/access';
import { sluiceError } from '#libs/kernel';
import { Body, Controller, Delete, Get, HttpCode, Inject, Param, Put, Query } from '@nestjs/common';
import { ByCaller, type Caller } from '../http/caller.js';
import { Operation } from '../http/operation.js';
import {
  limitScopeSchema,
  overrideBodySchema,
  overrideListSchema,
  overrideQuerySchema,
  overrideSchema,
  type OverrideBody,
  type OverrideQuery,
} from './limit-schema.js';

const tag = 'limits';
const params = {
  scope: `one of ${limitScopes.join(', ')}`,
  subject: 'the id of the key, project or tenant, or the name of the endpoint',
};

@Controller('/api/limits')
export class LimitsController {
  constructor(@Inject(LimitOverrides) private readonly overrides: LimitOverrides) {}

  @Get()
  @Operation({
    permit: 'limit.read',
    tag,
    summary: 'List the limits that are set for one key, project, tenant or endpoint, a thousand at a time',
    query: overrideQuerySchema,
    answers: { 200: { description: 'the limits, by scope and subject', schema: overrideListSchema } },
  })
  async list(
    @Query({ schema: overrideQuerySchema }) { scope, after }: OverrideQuery,
  ): Promise<{ limits: LimitOverrideView[] }> {
    return { limits: await this.overrides.list(scope, after) };
  }

  @Get('/:scope/:subject')
  @Operation({
    permit: 'limit.read',
    tag,
    summary: 'Read the limits that are set for one subject',
    params,
    answers: { 200: { description: 'the limits', schema: overrideSchema } },
    refusals: ['SLU_REQUEST_INVALID', 'SLU_ACCESS_LIMITS_UNKNOWN'],
  })
  get(@Param('scope') scope: string, @Param('subject') subject: string): Promise<LimitOverrideView> {
    return this.overrides.get(scopeOf(scope), subject);
  }

  @Put('/:scope/:subject')
  @Operation({
    permit: 'limit.write',
    tag,
    summary: 'Set limits for one subject: they count instead of those of its tier; null lifts one',
    params,
    body: overrideBodySchema,
    answers: { 200: { description: 'the limits as they are now', schema: overrideSchema } },
    refusals: ['SLU_ACCESS_LIMIT_SUBJECT', 'SLU_ACCESS_LIMITS_STALE'],
  })
  put(
    @Param('scope') scope: string,
    @Param('subject') subject: string,
    @Body({ schema: overrideBodySchema }) body: OverrideBody,
    @ByCaller() caller: Caller,
  ): Promise<LimitOverrideView> {
    const { expectedRevision, ...limits } = body;
    return this.overrides.put(scopeOf(scope), subject, limits, { ...caller, expectedRevision });
  }

  @Delete('/:scope/:subject')
  @HttpCode(204)
  @Operation({
    permit: 'limit.write',
    tag,
    summary: 'Take back what was set for one subject: its tier counts again',
    params,
    answers: { 204: { description: 'taken back' } },
    refusals: ['SLU_REQUEST_INVALID', 'SLU_ACCESS_LIMITS_UNKNOWN'],
  })
  remove(@Param('scope') scope: string, @Param('subject') subject: string, @ByCaller() caller: Caller): Promise<void> {
    return this.overrides.remove(scopeOf(scope), subject, caller);
  }
}

/** @throws SLU_REQUEST_INVALID */
function scopeOf(text: string): LimitScope {
  const parsed = limitScopeSchema.safeParse(text);
  if (parsed.success) return parsed.data;
  throw sluiceError('SLU_REQUEST_INVALID', { field: 'scope', problem: `must be one of ${limitScopes.join(', ')}` });
}
