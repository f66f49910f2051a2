import { scopeOf, type Principal } from '#libs/access';
import { SubjectPseudonyms } from '#libs/audit';
import { RequestArchive, type RequestPage, type RequestScope, type RequestView } from '#libs/inference';
import { assertNever, sluiceError } from '#libs/kernel';
import { Controller, Get, Inject, Param, Query } from '@nestjs/common';
import { requireUuid } from '../http/known-id.js';
import { ByPrincipal } from '../http/caller.js';
import { Operation } from '../http/operation.js';
import { requestPageSchema, requestQuerySchema, requestSchema, type RequestQuery } from './request-schema.js';

const tag = 'requests';

@Controller('/api/requests')
export class RequestsController {
  constructor(
    @Inject(RequestArchive) private readonly archive: RequestArchive,
    @Inject(SubjectPseudonyms) private readonly pseudonyms: SubjectPseudonyms,
  ) {}

  @Get()
  @Operation({
    permit: 'request.read',
    tag,
    summary: 'List requests to models, the newest first, as far as the permit reaches',
    query: requestQuerySchema,
    answers: { 200: { description: 'a page of requests', schema: requestPageSchema } },
  })
  list(
    @Query({ schema: requestQuerySchema }) query: RequestQuery,
    @ByPrincipal() principal: Principal,
  ): Promise<RequestPage> {
    const { limit, cursor, subject: name, ...filter } = query;
    const subject = name === undefined ? undefined : this.pseudonyms.of(principal.tenantId, name);
    return this.archive.page({ ...filter, subject }, requestScope(principal), limit, cursor);
  }

  @Get('/:id')
  @Operation({
    permit: 'request.read',
    tag,
    summary: 'Read what is known of one request',
    params: { id: 'the request, as sluice-request-id named it' },
    answers: { 200: { description: 'the request', schema: requestSchema } },
    refusals: ['SLU_REQUEST_RECORD_UNKNOWN'],
  })
  get(@Param('id') id: string, @ByPrincipal() principal: Principal): Promise<RequestView> {
    requireUuid(id, 'SLU_REQUEST_RECORD_UNKNOWN');
    return this.archive.get(id.toLowerCase(), requestScope(principal));
  }
}

function requestScope(principal: Principal): RequestScope {
  const scope = scopeOf(principal, 'request.read');
  switch (scope) {
    case 'all':
      return {};
    case 'tenant':
      return { tenantId: principal.tenantId };
    case 'project':
      return { tenantId: principal.tenantId, projectId: principal.projectId };
    case 'own':
      return { tenantId: principal.tenantId, keyId: principal.keyId };
    case undefined:
      throw sluiceError('SLU_ACCESS_FORBIDDEN', { action: 'request.read' });
    default:
      return assertNever(scope, 'scope');
  }
}
