import { Directory, requireReach, type DirectoryViews, type Principal } from '#libs/access';
import { Body, Controller, Get, Inject, Param, Patch, Post, Query } from '@nestjs/common';
import type { z } from 'zod';
import { ByCaller, ByPrincipal, type Caller } from '../http/caller.js';
import { Operation } from '../http/operation.js';
import { pageQuerySchema, type PageQuery } from '../http/page-query.js';
import {
  newServiceAccountSchema,
  projectChangeSchema,
  serviceAccountListSchema,
  serviceAccountSchema,
} from './directory-schema.js';

const tag = 'service accounts';
const params = { id: 'the id of the service account' };

type View = DirectoryViews['service-account'];

@Controller('/api/service-accounts')
export class ServiceAccountsController {
  constructor(@Inject(Directory) private readonly directory: Directory) {}

  @Post()
  @Operation({
    permit: 'service-account.write',
    tag,
    summary: 'Create a service account in a project',
    body: newServiceAccountSchema,
    answers: { 201: { description: 'created', schema: serviceAccountSchema } },
    refusals: ['SLU_ACCESS_OWNER_CONFLICT', 'SLU_ACCESS_OWNER_UNKNOWN'],
  })
  async create(
    @Body({ schema: newServiceAccountSchema }) body: z.infer<typeof newServiceAccountSchema>,
    @ByCaller() caller: Caller,
    @ByPrincipal() principal: Principal,
  ): Promise<View> {
    const project = await this.directory.projectFor(principal, 'service-account.write', body.projectId);
    return this.directory.create('service-account', { name: body.name, ...project }, caller);
  }

  @Get()
  @Operation({
    permit: 'service-account.read',
    tag,
    summary: 'List the service accounts within reach, the newest first',
    query: pageQuerySchema,
    answers: { 200: { description: 'a page of service accounts', schema: serviceAccountListSchema } },
  })
  async list(
    @Query({ schema: pageQuerySchema }) page: PageQuery,
    @ByPrincipal() principal: Principal,
  ): Promise<{ serviceAccounts: View[]; nextCursor: string | null }> {
    const { rows, nextCursor } = await this.directory.list(
      'service-account',
      requireReach(principal, 'service-account.read'),
      page,
    );
    return { serviceAccounts: rows, nextCursor };
  }

  @Get('/:id')
  @Operation({
    permit: 'service-account.read',
    tag,
    summary: 'Read a service account',
    params,
    answers: { 200: { description: 'as it is', schema: serviceAccountSchema } },
    refusals: ['SLU_ACCESS_OWNER_UNKNOWN'],
  })
  get(@Param('id') id: string, @ByPrincipal() principal: Principal): Promise<View> {
    return this.directory.get('service-account', requireReach(principal, 'service-account.read'), id);
  }

  @Patch('/:id')
  @Operation({
    permit: 'service-account.write',
    tag,
    summary: 'Rename a service account, or suspend it with all that is its own',
    params,
    body: projectChangeSchema,
    answers: { 200: { description: 'as it is now', schema: serviceAccountSchema } },
    refusals: ['SLU_ACCESS_OWNER_UNKNOWN', 'SLU_ACCESS_OWNER_CONFLICT'],
  })
  change(
    @Param('id') id: string,
    @Body({ schema: projectChangeSchema }) body: z.infer<typeof projectChangeSchema>,
    @ByCaller() caller: Caller,
    @ByPrincipal() principal: Principal,
  ): Promise<View> {
    return this.directory.change('service-account', requireReach(principal, 'service-account.write'), id, body, caller);
  }
}
