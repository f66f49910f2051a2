import { tenantWithin, type Principal } from '#libs/access';
import { PayloadArchive, PayloadWindows, type PayloadEntry, type PayloadWindow } from '#libs/audit';
import { Body, Controller, Delete, Get, HttpCode, Inject, Param, Post } from '@nestjs/common';
import { requireUuid } from '../http/known-id.js';
import { ByCaller, ByPrincipal, type Caller } from '../http/caller.js';
import { Operation } from '../http/operation.js';
import {
  newPayloadLogSchema,
  payloadListSchema,
  payloadLogSchema,
  payloadReadingSchema,
  readPayloadSchema,
  type NewPayloadLog,
  type PayloadReadingBody,
} from './payload-schema.js';

const params = { name: 'the endpoint' };
const tag = 'privacy';

@Controller('/api')
export class PayloadLogController {
  constructor(
    @Inject(PayloadWindows) private readonly windows: PayloadWindows,
    @Inject(PayloadArchive) private readonly archive: PayloadArchive,
  ) {}

  @Post('/endpoints/:name/payload-log')
  @Operation({
    permit: 'payload-log.write',
    tag,
    summary: 'Log the payloads of an endpoint for a time: redacted, sealed, for a reason',
    params,
    body: newPayloadLogSchema,
    answers: { 201: { description: 'the log runs', schema: payloadLogSchema } },
    refusals: ['SLU_ENDPOINT_UNKNOWN', 'SLU_PRIVACY_LOG_OPEN'],
  })
  open(
    @Param('name') endpoint: string,
    @Body({ schema: newPayloadLogSchema }) body: NewPayloadLog,
    @ByCaller() caller: Caller,
  ): Promise<PayloadWindow> {
    return this.windows.open({ endpoint, ...body, ...caller });
  }

  @Delete('/endpoints/:name/payload-log')
  @Operation({
    permit: 'payload-log.write',
    tag,
    summary: 'End the log of payloads before its time; what it holds stays for its retention',
    params,
    answers: { 200: { description: 'the log that ended', schema: payloadLogSchema } },
    refusals: ['SLU_PRIVACY_LOG_CLOSED'],
  })
  close(@Param('name') endpoint: string, @ByCaller() { actor, requestId }: Caller): Promise<PayloadWindow> {
    return this.windows.close(endpoint, actor, requestId);
  }

  @Get('/endpoints/:name/payload-log')
  @Operation({
    permit: 'payload-log.read',
    tag,
    summary: 'Show the log of payloads that runs now, and which payloads are held',
    params,
    answers: { 200: { description: 'the log and its newest entries', schema: payloadListSchema } },
  })
  async list(
    @Param('name') endpoint: string,
    @ByPrincipal() principal: Principal,
  ): Promise<{ open: PayloadWindow | null; payloads: PayloadEntry[] }> {
    const open = (await this.windows.find(endpoint)) ?? null;
    return { open, payloads: await this.archive.list(endpoint, tenantWithin(principal, 'payload-log.read')) };
  }

  @Post('/payloads/:id/read')
  @HttpCode(200)
  @Operation({
    permit: 'payload.read',
    tag,
    summary: 'Read a logged payload, for a purpose and a reason that the audit trail keeps',
    params: { id: 'the payload' },
    body: payloadReadingSchema,
    answers: { 200: { description: 'the payload', schema: readPayloadSchema } },
    refusals: ['SLU_PRIVACY_PAYLOAD_UNKNOWN', 'SLU_PRIVACY_PAYLOAD_ERASED'],
  })
  read(
    @Param('id') id: string,
    @Body({ schema: payloadReadingSchema }) body: PayloadReadingBody,
    @ByCaller() caller: Caller,
    @ByPrincipal() principal: Principal,
  ): Promise<PayloadEntry & { content: unknown }> {
    requireUuid(id, 'SLU_PRIVACY_PAYLOAD_UNKNOWN');
    return this.archive.read({ id, tenantId: tenantWithin(principal, 'payload.read'), ...body, ...caller });
  }
}
