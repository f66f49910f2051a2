import { scopeOf, type Principal, type UsageGroup } from '#libs/access';
import { Controller, Get, Headers, Inject, Query, Res } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import type { z } from 'zod';
import { ByPrincipal } from '../http/caller.js';
import { Operation } from '../http/operation.js';
import { Spending } from './spending.js';
import { usageCsv } from './usage-csv.js';
import { usageQuerySchema, usageSchema, type UsageQueryBody } from './usage-schema.js';

@Controller('/api/usage')
export class UsageController {
  constructor(@Inject(Spending) private readonly spending: Spending) {}

  @Get()
  @Operation({
    permit: 'usage.read',
    tag: 'budgets',
    summary: 'What was used and what it cost, by day, tenant, project, key, endpoint and model; JSON or CSV',
    query: usageQuerySchema,
    answers: { 200: { description: 'the sums', schema: usageSchema, otherContentTypes: ['text/csv'] } },
  })
  async read(
    @Query({ schema: usageQuerySchema }) query: UsageQueryBody,
    @Headers('accept') accept: string | undefined,
    @ByPrincipal() principal: Principal,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<string | z.infer<typeof usageSchema>> {
    const groupBy = query.groupBy.split(',').filter((part): part is UsageGroup => part !== '');
    const found = await this.spending.usage.find({
      from: query.from,
      to: query.to,
      groupBy,
      endpoint: query.endpoint,
      model: query.model,
      asked: { tenantId: query.tenantId, projectId: query.projectId, keyId: query.keyId },
      allowed: reachOf(principal),
    });
    const isCsv = query.format === 'csv' || (query.format === undefined && prefersCsv(accept));
    if (!isCsv) return { currency: this.spending.currency, ...found };
    reply
      .header('content-type', 'text/csv; charset=utf-8')
      .header('content-disposition', 'attachment; filename="usage.csv"')
      .header('sluice-usage-complete', String(found.isComplete));
    return usageCsv(found.usage, new Set(groupBy));
  }
}

/** What of the usage the caller may see; an empty reach is everything. */
function reachOf(principal: Principal): { tenantId?: string; projectId?: string; keyId?: string } {
  switch (scopeOf(principal, 'usage.read')) {
    case 'all':
      return {};
    case 'tenant':
      return { tenantId: principal.tenantId };
    case 'project':
      return { tenantId: principal.tenantId, projectId: principal.projectId };
    // Fail closed: without a permit nobody comes here, and would see their own at most.
    case 'own':
    case undefined:
      return { tenantId: principal.tenantId, keyId: principal.keyId };
  }
}

const prefersCsv = (accept: string | undefined): boolean =>
  accept !== undefined && /\btext\/csv\b/i.test(accept) && !/\bapplication\/json\b/i.test(accept);
