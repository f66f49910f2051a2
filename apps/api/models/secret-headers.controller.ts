import { SecretHeaders, type SecretHeaderView } from '#libs/inference';
import { Body, Controller, Get, Inject, Param, Put } from '@nestjs/common';
import { ByCaller, type Caller } from '../http/caller.js';
import { Operation } from '../http/operation.js';
import { newSecretHeadersSchema, secretHeadersSchema, type NewSecretHeaders } from './model-schema.js';

const params = { model: 'the model', version: 'its version' };
const tag = 'models';

@Controller('/api/models/:model/versions/:version/secret-headers')
export class SecretHeadersController {
  constructor(@Inject(SecretHeaders) private readonly secretHeaders: SecretHeaders) {}

  @Put()
  @Operation({
    permit: 'model.secret',
    tag,
    summary: 'Set values of the secret headers of a remote version; nothing ever shows them again',
    params,
    body: newSecretHeadersSchema,
    answers: { 200: { description: 'the headers, without their values', schema: secretHeadersSchema } },
    refusals: ['SLU_MODEL_VERSION_UNKNOWN', 'SLU_MODEL_VERSION_ARCHIVED', 'SLU_MODEL_SECRET_HEADERS'],
  })
  async set(
    @Param('model') model: string,
    @Param('version') version: string,
    @Body({ schema: newSecretHeadersSchema }) { headers }: NewSecretHeaders,
    @ByCaller() caller: Caller,
  ): Promise<{ headers: SecretHeaderView[] }> {
    return { headers: await this.secretHeaders.set({ model, version, headers, ...caller }) };
  }

  @Get()
  @Operation({
    permit: 'model.read',
    tag,
    summary: 'List the secret headers of a remote version, without their values',
    params,
    answers: { 200: { description: 'the headers', schema: secretHeadersSchema } },
    refusals: ['SLU_MODEL_VERSION_UNKNOWN', 'SLU_MODEL_SECRET_HEADERS'],
  })
  async list(
    @Param('model') model: string,
    @Param('version') version: string,
  ): Promise<{ headers: SecretHeaderView[] }> {
    return { headers: await this.secretHeaders.list({ model, version }) };
  }
}
