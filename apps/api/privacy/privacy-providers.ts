import { PayloadArchive, PayloadWindows, SubjectPseudonyms } from '#libs/audit';
import { AccessReport, Erasures, ProcessingRecords, SubjectExport } from '#libs/control';
import { RequestArchive } from '#libs/inference';
import type { Provider, Type } from '@nestjs/common';
import type { PrivacyParts } from '../assembly-privacy.js';
import { RequestsController } from '../requests/requests.controller.js';
import { CertificateKey } from './certificate-key.js';
import { PayloadLogController } from './payload-log.controller.js';
import { PrivacyController } from './privacy.controller.js';

export const privacyControllers: Type[] = [RequestsController, PayloadLogController, PrivacyController];

export const privacyProviders = (parts: PrivacyParts): Provider[] => [
  { provide: SubjectPseudonyms, useValue: parts.pseudonyms },
  { provide: PayloadWindows, useValue: parts.payloadWindows },
  { provide: PayloadArchive, useValue: parts.payloadArchive },
  { provide: RequestArchive, useValue: parts.requestArchive },
  { provide: SubjectExport, useValue: parts.subjectExport },
  { provide: Erasures, useValue: parts.erasures },
  { provide: AccessReport, useValue: parts.accessReport },
  { provide: ProcessingRecords, useValue: parts.processingRecords },
  { provide: CertificateKey, useValue: parts.certificateKey },
];
