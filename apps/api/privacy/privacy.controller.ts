import { tenantWithin, scopeOf, type Action, type Principal } from '#libs/access';
import { SubjectPseudonyms } from '#libs/audit';
import {
  AccessReport,
  Erasures,
  ProcessingRecords,
  SubjectExport,
  type AccessReportView,
  type ErasureView,
  type ProcessingRecordsView,
  type SubjectExportView,
} from '#libs/control';
import { sluiceError } from '#libs/kernel';
import { Body, Controller, Get, HttpCode, Inject, Param, Post, Query } from '@nestjs/common';
import { requireUuid } from '../http/known-id.js';
import { ByCaller, ByPrincipal, type Caller } from '../http/caller.js';
import { Operation } from '../http/operation.js';
import { CertificateKey } from './certificate-key.js';
import {
  accessQuerySchema,
  accessReportSchema,
  certificateKeySchema,
  erasureListSchema,
  erasureQuerySchema,
  erasureSchema,
  newErasureSchema,
  processingRecordsSchema,
  subjectExportSchema,
  subjectQuestionSchema,
  type AccessQuery,
  type ErasureQuery,
  type NewErasure,
  type SubjectQuestionBody,
} from './privacy-schema.js';

const tag = 'privacy';

@Controller('/api/privacy')
export class PrivacyController {
  constructor(
    @Inject(SubjectPseudonyms) private readonly pseudonyms: SubjectPseudonyms,
    @Inject(SubjectExport) private readonly subjectExport: SubjectExport,
    @Inject(Erasures) private readonly erasures: Erasures,
    @Inject(AccessReport) private readonly accessReport: AccessReport,
    @Inject(ProcessingRecords) private readonly processingRecords: ProcessingRecords,
    @Inject(CertificateKey) private readonly certificateKey: CertificateKey,
  ) {}

  @Post('/exports')
  @HttpCode(200)
  @Operation({
    permit: 'privacy.export',
    tag,
    summary: 'Export everything that is held of a person (GDPR Art. 15 and 20)',
    body: subjectQuestionSchema,
    answers: { 200: { description: 'what is held, by store', schema: subjectExportSchema } },
  })
  exportSubject(
    @Body({ schema: subjectQuestionSchema }) body: SubjectQuestionBody,
    @ByCaller() caller: Caller,
    @ByPrincipal() principal: Principal,
  ): Promise<SubjectExportView> {
    return this.subjectExport.make({ ...this.subjectOf(principal, 'privacy.export', body), ...caller });
  }

  @Post('/erasures')
  @HttpCode(202)
  @Operation({
    permit: 'privacy.erase',
    tag,
    summary: 'Erase a person from every store (GDPR Art. 17); while that runs, asking again answers the same',
    body: newErasureSchema,
    answers: { 202: { description: 'the erasure is kept and runs', schema: erasureSchema } },
  })
  erase(
    @Body({ schema: newErasureSchema }) body: NewErasure,
    @ByCaller() caller: Caller,
    @ByPrincipal() principal: Principal,
  ): Promise<ErasureView> {
    const { ground } = body;
    return this.erasures.request({ ...this.subjectOf(principal, 'privacy.erase', body), ground, ...caller });
  }

  @Get('/erasures')
  @Operation({
    permit: 'privacy.read',
    tag,
    summary: 'List erasures, the newest first, with their certificates',
    query: erasureQuerySchema,
    answers: { 200: { description: 'the erasures', schema: erasureListSchema } },
  })
  async list(
    @Query({ schema: erasureQuerySchema }) { subject: name, tenantId }: ErasureQuery,
    @ByPrincipal() principal: Principal,
  ): Promise<{ erasures: ErasureView[] }> {
    const within = tenantId ?? tenantWithin(principal, 'privacy.read');
    if (tenantId !== undefined) refuseForeign(principal, 'privacy.read', tenantId);
    const subject = name === undefined ? undefined : this.pseudonyms.of(tenantId ?? principal.tenantId, name);
    return { erasures: await this.erasures.list(within, subject) };
  }

  @Get('/erasures/:id')
  @Operation({
    permit: 'privacy.read',
    tag,
    summary: 'Read an erasure, with its certificate when it has ended',
    params: { id: 'the erasure' },
    answers: { 200: { description: 'the erasure', schema: erasureSchema } },
    refusals: ['SLU_PRIVACY_ERASURE_UNKNOWN'],
  })
  get(@Param('id') id: string, @ByPrincipal() principal: Principal): Promise<ErasureView> {
    requireUuid(id, 'SLU_PRIVACY_ERASURE_UNKNOWN');
    return this.erasures.get(id, tenantWithin(principal, 'privacy.read'));
  }

  @Get('/certificate-key')
  @Operation({
    permit: 'privacy.read',
    tag,
    summary: 'Show the public key that certificates of erasure are signed with',
    answers: { 200: { description: 'the key', schema: certificateKeySchema } },
  })
  key(): { keyId: string; publicKeyPem: string } {
    return this.certificateKey.view;
  }

  @Get('/processing-records')
  @Operation({
    permit: 'privacy.read',
    tag,
    summary: 'Make the records of processing (GDPR Art. 30) from what is registered now',
    answers: { 200: { description: 'the records, and what the operator adds', schema: processingRecordsSchema } },
  })
  records(): Promise<ProcessingRecordsView> {
    return this.processingRecords.make();
  }

  @Get('/access-report')
  @Operation({
    permit: 'privacy.access-report',
    tag,
    summary: 'Report who read what of a person, from the audit trail',
    query: accessQuerySchema,
    answers: { 200: { description: 'the report', schema: accessReportSchema } },
  })
  report(
    @Query({ schema: accessQuerySchema }) { since, until, ...body }: AccessQuery,
    @ByCaller() caller: Caller,
    @ByPrincipal() principal: Principal,
  ): Promise<AccessReportView> {
    const question = this.subjectOf(principal, 'privacy.access-report', body);
    return this.accessReport.make({ ...question, since, until, ...caller });
  }

  private subjectOf(
    principal: Principal,
    action: Action,
    { subject, tenantId = principal.tenantId }: SubjectQuestionBody,
  ): { subject: string; tenantId: string } {
    refuseForeign(principal, action, tenantId);
    return { subject: this.pseudonyms.of(tenantId, subject), tenantId };
  }
}

function refuseForeign(principal: Principal, action: Action, tenantId: string): void {
  if (tenantId !== principal.tenantId && scopeOf(principal, action) !== 'all')
    throw sluiceError('SLU_ACCESS_FORBIDDEN', { action });
}
