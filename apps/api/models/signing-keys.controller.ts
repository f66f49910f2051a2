import { SigningKeys, type SigningKeyView } from '#libs/inference';
import { Body, Controller, Get, HttpCode, Inject, Param, Post, Res } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import { ByCaller, type Caller } from '../http/caller.js';
import { Operation } from '../http/operation.js';
import {
  newSigningKeySchema,
  revocationSchema,
  signingKeyListSchema,
  signingKeySchema,
  type NewSigningKeyBody,
  type RevocationBody,
} from './signature-schema.js';

const params = { id: 'the id of the key' };
const tag = 'signing keys';

@Controller('/api/signing-keys')
export class SigningKeysController {
  constructor(@Inject(SigningKeys) private readonly keys: SigningKeys) {}

  @Post()
  @Operation({
    permit: 'signing-key.manage',
    tag,
    summary: 'Add a public key whose signatures count',
    body: newSigningKeySchema,
    answers: {
      201: { description: 'added', schema: signingKeySchema },
      200: { description: 'the same key was there already', schema: signingKeySchema },
    },
    refusals: ['SLU_SIGNATURE_KEY_INVALID', 'SLU_SIGNATURE_KEY_CONFLICT'],
  })
  async add(
    @Body({ schema: newSigningKeySchema }) { id, publicKeyPem }: NewSigningKeyBody,
    @ByCaller() caller: Caller,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<SigningKeyView> {
    const { created, key } = await this.keys.add(id, publicKeyPem, caller);
    void reply.code(created ? 201 : 200);
    return key;
  }

  @Get()
  @Operation({
    permit: 'signing-key.read',
    tag,
    summary: 'List signing keys, the oldest first',
    answers: { 200: { description: 'the keys', schema: signingKeyListSchema } },
  })
  async list(): Promise<{ keys: SigningKeyView[] }> {
    return { keys: await this.keys.list() };
  }

  @Post('/:id/retire')
  @HttpCode(200)
  @Operation({
    permit: 'signing-key.manage',
    tag,
    summary: 'Retire a key: it signs nothing new, and what it has signed stays good',
    params,
    answers: { 200: { description: 'retired', schema: signingKeySchema } },
    refusals: ['SLU_SIGNATURE_KEY_UNKNOWN', 'SLU_SIGNATURE_KEY_ENDED'],
  })
  retire(@Param('id') id: string, @ByCaller() caller: Caller): Promise<SigningKeyView> {
    return this.keys.retire(id, caller);
  }

  @Post('/:id/revoke')
  @HttpCode(200)
  @Operation({
    permit: 'signing-key.manage',
    tag,
    summary: 'Revoke a key that others may have: its signatures count no more',
    params,
    body: revocationSchema,
    answers: { 200: { description: 'revoked', schema: signingKeySchema } },
    refusals: ['SLU_SIGNATURE_KEY_UNKNOWN', 'SLU_SIGNATURE_KEY_ENDED'],
  })
  revoke(
    @Param('id') id: string,
    @Body({ schema: revocationSchema }) { reason, compromisedSince }: RevocationBody,
    @ByCaller() caller: Caller,
  ): Promise<SigningKeyView> {
    return this.keys.revoke(id, reason, compromisedSince === undefined ? null : new Date(compromisedSince), caller);
  }
}
