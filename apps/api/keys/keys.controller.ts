import { ApiKeys, requireReach, type ApiKeyView, type Principal } from '#libs/access';
import { Body, Controller, Delete, Get, HttpCode, Inject, Param, Post, Query } from '@nestjs/common';
import { ByCaller, ByPrincipal, type Caller } from '../http/caller.js';
import { Operation } from '../http/operation.js';
import { pageQuerySchema, type PageQuery } from '../http/page-query.js';
import {
  keyListSchema,
  keySchema,
  newKeySchema,
  rotationSchema,
  shownKeySchema,
  type NewKeyBody,
  type RotationBody,
} from './key-schema.js';

const tag = 'keys';
const params = { id: 'the id of the key' };

type ShownKey = ApiKeyView & { key: string };

@Controller('/api/keys')
export class KeysController {
  constructor(@Inject(ApiKeys) private readonly keys: ApiKeys) {}

  @Post()
  @Operation({
    permit: 'key.write',
    tag,
    summary: 'Create an API key; this answer alone shows it',
    body: newKeySchema,
    answers: { 201: { description: 'the key', schema: shownKeySchema } },
  })
  create(
    @Body({ schema: newKeySchema }) body: NewKeyBody,
    @ByCaller() caller: Caller,
    @ByPrincipal() principal: Principal,
  ): Promise<ShownKey> {
    const { name, role, tier, endpoints, networks, tenant, project, person, serviceAccount } = body;
    const expiresAt = body.expiresAt === undefined ? undefined : new Date(body.expiresAt);
    const roles = body.roles ?? (role === undefined ? [] : [role]);
    const wish = { name, roles, tier, endpoints, networks, expiresAt, ...caller };
    return this.keys.createFor(principal, wish, { tenant, project, person, serviceAccount });
  }

  @Get()
  @Operation({
    permit: 'key.read',
    tag,
    summary: 'List API keys, the newest first, without the keys themselves',
    query: pageQuerySchema,
    answers: { 200: { description: 'a page of the keys within the reach of the caller', schema: keyListSchema } },
  })
  async list(
    @Query({ schema: pageQuerySchema }) page: PageQuery,
    @ByPrincipal() principal: Principal,
  ): Promise<{ keys: ApiKeyView[]; nextCursor: string | null }> {
    const { rows, nextCursor } = await this.keys.list(requireReach(principal, 'key.read'), page);
    return { keys: rows, nextCursor };
  }

  @Post('/:id/rotate')
  @HttpCode(201)
  @Operation({
    permit: 'key.rotate',
    tag,
    summary: 'Make a key that is as this one, which ends after an overlap; this answer alone shows it',
    params,
    body: rotationSchema,
    isBodyOptional: true,
    answers: { 201: { description: 'the new key', schema: shownKeySchema } },
    refusals: ['SLU_ACCESS_KEY_UNKNOWN', 'SLU_ACCESS_KEY_ENDED'],
  })
  rotate(
    @Param('id') id: string,
    @Body({ schema: rotationSchema }) { overlapSeconds }: RotationBody,
    @ByCaller() { requestId }: Caller,
    @ByPrincipal() principal: Principal,
  ): Promise<ShownKey> {
    return this.keys.rotate(principal, id, { overlapSeconds, requestId });
  }

  @Delete('/:id')
  @Operation({
    permit: 'key.write',
    tag,
    summary: 'Revoke an API key for good',
    params,
    answers: { 200: { description: 'revoked', schema: keySchema } },
    refusals: ['SLU_ACCESS_KEY_UNKNOWN'],
  })
  revoke(
    @Param('id') id: string,
    @ByCaller() { actor, requestId }: Caller,
    @ByPrincipal() principal: Principal,
  ): Promise<ApiKeyView> {
    return this.keys.revoke(id, actor, requestId, requireReach(principal, 'key.write'));
  }
}
