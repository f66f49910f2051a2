import { ApiKeys, type ApiKeyView } from '#libs/access';
import { sluiceError } from '#libs/kernel';
import { Body, Controller, Delete, Get, Inject, Param, Post } from '@nestjs/common';
import { ByCaller, type Caller } from '../http/caller.js';
import { Operation } from '../http/operation.js';
import { keyIdSchema, keyListSchema, keySchema, newKeySchema, shownKeySchema, type NewKeyBody } from './key-schema.js';

const tag = 'keys';

@Controller('/api/keys')
export class KeysController {
  constructor(@Inject(ApiKeys) private readonly keys: ApiKeys) {}

  @Post()
  @Operation({
    permit: 'key.manage',
    tag,
    summary: 'Create an API key; this answer alone shows it',
    body: newKeySchema,
    answers: { 201: { description: 'the key', schema: shownKeySchema } },
  })
  create(
    @Body({ schema: newKeySchema }) body: NewKeyBody,
    @ByCaller() caller: Caller,
  ): Promise<ApiKeyView & { key: string }> {
    const { name, role, expiresAt, roles = role === undefined ? [] : [role] } = body;
    return this.keys.create({
      name,
      roles,
      ...caller,
      expiresAt: expiresAt === undefined ? undefined : new Date(expiresAt),
    });
  }

  @Get()
  @Operation({
    permit: 'key.manage',
    tag,
    summary: 'List API keys, the newest first, without the keys themselves',
    answers: { 200: { description: 'the keys', schema: keyListSchema } },
  })
  async list(): Promise<{ keys: ApiKeyView[] }> {
    return { keys: await this.keys.list() };
  }

  @Delete('/:id')
  @Operation({
    permit: 'key.manage',
    tag,
    summary: 'Revoke an API key for good',
    params: { id: 'the id of the key' },
    answers: { 200: { description: 'revoked', schema: keySchema } },
    refusals: ['SLU_ACCESS_KEY_UNKNOWN'],
  })
  revoke(@Param('id') id: string, @ByCaller() { actor, requestId }: Caller): Promise<ApiKeyView> {
    if (!keyIdSchema.safeParse(id).success) throw sluiceError('SLU_ACCESS_KEY_UNKNOWN', { id: id.slice(0, 40) });
    return this.keys.revoke(id, actor, requestId);
  }
}
