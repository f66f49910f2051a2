import { Directory, requireReach, type DirectoryViews, type Principal } from '#libs/access';
import { Body, Controller, Get, Inject, Param, Patch, Post, Query } from '@nestjs/common';
import type { z } from 'zod';
import { ByCaller, ByPrincipal, type Caller } from '../http/caller.js';
import { Operation } from '../http/operation.js';
import { pageQuerySchema, type PageQuery } from '../http/page-query.js';
import { newTenantSchema, tenantChangeSchema, tenantListSchema, tenantSchema } from './directory-schema.js';

const tag = 'tenants';
const params = { id: 'the id of the tenant' };

type View = DirectoryViews['tenant'];

@Controller('/api/tenants')
export class TenantsController {
  constructor(@Inject(Directory) private readonly directory: Directory) {}

  @Post()
  @Operation({
    permit: 'tenant.write',
    tag,
    summary: 'Create a tenant, with a project named default in it',
    body: newTenantSchema,
    answers: { 201: { description: 'created', schema: tenantSchema } },
    refusals: ['SLU_ACCESS_OWNER_CONFLICT'],
  })
  create(
    @Body({ schema: newTenantSchema }) body: z.infer<typeof newTenantSchema>,
    @ByCaller() caller: Caller,
  ): Promise<View> {
    return this.directory.create('tenant', body, caller);
  }

  @Get()
  @Operation({
    permit: 'tenant.read',
    tag,
    summary: 'List the tenants within reach, the newest first',
    query: pageQuerySchema,
    answers: { 200: { description: 'a page of tenants', schema: tenantListSchema } },
  })
  async list(
    @Query({ schema: pageQuerySchema }) page: PageQuery,
    @ByPrincipal() principal: Principal,
  ): Promise<{ tenants: View[]; nextCursor: string | null }> {
    const { rows, nextCursor } = await this.directory.list('tenant', requireReach(principal, 'tenant.read'), page);
    return { tenants: rows, nextCursor };
  }

  @Get('/:id')
  @Operation({
    permit: 'tenant.read',
    tag,
    summary: 'Read a tenant',
    params,
    answers: { 200: { description: 'as it is', schema: tenantSchema } },
    refusals: ['SLU_ACCESS_OWNER_UNKNOWN'],
  })
  get(@Param('id') id: string, @ByPrincipal() principal: Principal): Promise<View> {
    return this.directory.get('tenant', requireReach(principal, 'tenant.read'), id);
  }

  @Patch('/:id')
  @Operation({
    permit: 'tenant.write',
    tag,
    summary: 'Rename a tenant, give it another tier, or suspend it with all that is its own',
    params,
    body: tenantChangeSchema,
    answers: { 200: { description: 'as it is now', schema: tenantSchema } },
    refusals: ['SLU_ACCESS_OWNER_UNKNOWN', 'SLU_ACCESS_OWNER_CONFLICT'],
  })
  change(
    @Param('id') id: string,
    @Body({ schema: tenantChangeSchema }) body: z.infer<typeof tenantChangeSchema>,
    @ByCaller() caller: Caller,
    @ByPrincipal() principal: Principal,
  ): Promise<View> {
    return this.directory.change('tenant', requireReach(principal, 'tenant.write'), id, body, caller);
  }
}
