import { Directory, requireReach, type DirectoryViews, type Principal } from '#libs/access';
import { Body, Controller, Get, Inject, Param, Patch, Post, Query } from '@nestjs/common';
import type { z } from 'zod';
import { ByCaller, ByPrincipal, type Caller } from '../http/caller.js';
import { Operation } from '../http/operation.js';
import { pageQuerySchema, type PageQuery } from '../http/page-query.js';
import { newProjectSchema, projectChangeSchema, projectListSchema, projectSchema } from './directory-schema.js';

const tag = 'projects';
const params = { id: 'the id of the project' };

type View = DirectoryViews['project'];

@Controller('/api/projects')
export class ProjectsController {
  constructor(@Inject(Directory) private readonly directory: Directory) {}

  @Post()
  @Operation({
    permit: 'project.write',
    tag,
    summary: 'Create a project in a tenant',
    body: newProjectSchema,
    answers: { 201: { description: 'created', schema: projectSchema } },
    refusals: ['SLU_ACCESS_OWNER_CONFLICT', 'SLU_ACCESS_OWNER_UNKNOWN'],
  })
  async create(
    @Body({ schema: newProjectSchema }) body: z.infer<typeof newProjectSchema>,
    @ByCaller() caller: Caller,
    @ByPrincipal() principal: Principal,
  ): Promise<View> {
    const tenantId = await this.directory.tenantFor(principal, 'project.write', body.tenantId);
    return this.directory.create('project', { name: body.name, tenantId }, caller);
  }

  @Get()
  @Operation({
    permit: 'project.read',
    tag,
    summary: 'List the projects within reach, the newest first',
    query: pageQuerySchema,
    answers: { 200: { description: 'a page of projects', schema: projectListSchema } },
  })
  async list(
    @Query({ schema: pageQuerySchema }) page: PageQuery,
    @ByPrincipal() principal: Principal,
  ): Promise<{ projects: View[]; nextCursor: string | null }> {
    const { rows, nextCursor } = await this.directory.list('project', requireReach(principal, 'project.read'), page);
    return { projects: rows, nextCursor };
  }

  @Get('/:id')
  @Operation({
    permit: 'project.read',
    tag,
    summary: 'Read a project',
    params,
    answers: { 200: { description: 'as it is', schema: projectSchema } },
    refusals: ['SLU_ACCESS_OWNER_UNKNOWN'],
  })
  get(@Param('id') id: string, @ByPrincipal() principal: Principal): Promise<View> {
    return this.directory.get('project', requireReach(principal, 'project.read'), id);
  }

  @Patch('/:id')
  @Operation({
    permit: 'project.write',
    tag,
    summary: 'Rename a project, or suspend it with all that is its own',
    params,
    body: projectChangeSchema,
    answers: { 200: { description: 'as it is now', schema: projectSchema } },
    refusals: ['SLU_ACCESS_OWNER_UNKNOWN', 'SLU_ACCESS_OWNER_CONFLICT'],
  })
  change(
    @Param('id') id: string,
    @Body({ schema: projectChangeSchema }) body: z.infer<typeof projectChangeSchema>,
    @ByCaller() caller: Caller,
    @ByPrincipal() principal: Principal,
  ): Promise<View> {
    return this.directory.change('project', requireReach(principal, 'project.write'), id, body, caller);
  }
}
