import { Directory, requireReach, type DirectoryViews, type Principal } from '#libs/access';
import { Body, Controller, Get, Inject, Param, Patch, Post, Query } from '@nestjs/common';
import type { z } from 'zod';
import { ByCaller, ByPrincipal, type Caller } from '../http/caller.js';
import { Operation } from '../http/operation.js';
import { pageQuerySchema, type PageQuery } from '../http/page-query.js';
import { newPersonSchema, personChangeSchema, personListSchema, personSchema } from './directory-schema.js';

const tag = 'people';
const params = { id: 'the id of the person' };

type View = DirectoryViews['person'];

@Controller('/api/people')
export class PeopleController {
  constructor(@Inject(Directory) private readonly directory: Directory) {}

  @Post()
  @Operation({
    permit: 'person.write',
    tag,
    summary: 'Write down a person; whoever signs in is written down by that alone',
    body: newPersonSchema,
    answers: { 201: { description: 'created', schema: personSchema } },
    refusals: ['SLU_ACCESS_OWNER_CONFLICT', 'SLU_ACCESS_OWNER_UNKNOWN'],
  })
  async create(
    @Body({ schema: newPersonSchema }) body: z.infer<typeof newPersonSchema>,
    @ByCaller() caller: Caller,
    @ByPrincipal() principal: Principal,
  ): Promise<View> {
    const { name, issuer = null, subject = null } = body;
    const tenantId = await this.directory.tenantFor(principal, 'person.write', body.tenantId);
    return this.directory.create('person', { name, issuer, subject, tenantId }, caller);
  }

  @Get()
  @Operation({
    permit: 'person.read',
    tag,
    summary: 'List the people within reach, the newest first',
    query: pageQuerySchema,
    answers: { 200: { description: 'a page of people', schema: personListSchema } },
  })
  async list(
    @Query({ schema: pageQuerySchema }) page: PageQuery,
    @ByPrincipal() principal: Principal,
  ): Promise<{ people: View[]; nextCursor: string | null }> {
    const { rows, nextCursor } = await this.directory.list('person', requireReach(principal, 'person.read'), page);
    return { people: rows, nextCursor };
  }

  @Get('/:id')
  @Operation({
    permit: 'person.read',
    tag,
    summary: 'Read a person',
    params,
    answers: { 200: { description: 'as it is', schema: personSchema } },
    refusals: ['SLU_ACCESS_OWNER_UNKNOWN'],
  })
  get(@Param('id') id: string, @ByPrincipal() principal: Principal): Promise<View> {
    return this.directory.get('person', requireReach(principal, 'person.read'), id);
  }

  @Patch('/:id')
  @Operation({
    permit: 'person.write',
    tag,
    summary: 'Rename a person, or suspend it with all that is its own',
    params,
    body: personChangeSchema,
    answers: { 200: { description: 'as it is now', schema: personSchema } },
    refusals: ['SLU_ACCESS_OWNER_UNKNOWN', 'SLU_ACCESS_OWNER_CONFLICT'],
  })
  change(
    @Param('id') id: string,
    @Body({ schema: personChangeSchema }) body: z.infer<typeof personChangeSchema>,
    @ByCaller() caller: Caller,
    @ByPrincipal() principal: Principal,
  ): Promise<View> {
    return this.directory.change('person', requireReach(principal, 'person.write'), id, body, caller);
  }
}
