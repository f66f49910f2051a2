import { ModelSignatures, type SignatureView } from '#libs/inference';
import { Body, Controller, Get, Inject, Param, Post, Res } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import { ByCaller, type Caller } from '../http/caller.js';
import { Operation } from '../http/operation.js';
import { newSignatureSchema, signatureListSchema, signatureSchema, type NewSignatureBody } from './signature-schema.js';

const params = { model: 'the model', version: 'its version' };
const tag = 'models';

@Controller('/api/models/:model/versions/:version/signatures')
export class SignaturesController {
  constructor(@Inject(ModelSignatures) private readonly signatures: ModelSignatures) {}

  @Get()
  @Operation({
    permit: 'model.read',
    tag,
    summary: 'List the signatures of a model version with what they are worth now',
    params,
    answers: { 200: { description: 'its signatures, the oldest first', schema: signatureListSchema } },
    refusals: ['SLU_MODEL_VERSION_UNKNOWN'],
  })
  async list(
    @Param('model') model: string,
    @Param('version') version: string,
  ): Promise<{ signatures: SignatureView[] }> {
    return { signatures: await this.signatures.list(model, version) };
  }

  @Post()
  @Operation({
    permit: 'model.register',
    tag,
    summary: 'Add a signature over the content digest of a registered version',
    params,
    body: newSignatureSchema,
    answers: {
      201: { description: 'added', schema: signatureSchema },
      200: { description: 'it was there already', schema: signatureSchema },
    },
    refusals: [
      'SLU_MODEL_VERSION_UNKNOWN',
      'SLU_SIGNATURE_INVALID',
      'SLU_SIGNATURE_KEY_UNKNOWN',
      'SLU_SIGNATURE_KEY_ENDED',
      'SLU_ARTIFACT_REFUSED',
    ],
  })
  async add(
    @Param('model') model: string,
    @Param('version') version: string,
    @Body({ schema: newSignatureSchema }) body: NewSignatureBody,
    @ByCaller() caller: Caller,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<SignatureView> {
    const { created, signature } = await this.signatures.add({ model, version }, body, caller);
    void reply.code(created ? 201 : 200);
    return signature;
  }
}
