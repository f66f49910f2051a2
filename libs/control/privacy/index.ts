export { AccessReport, type AccessReportView } from './access-report.js';
export { certificateKeyId } from './erasure-certificate.js';
export { ErasureLedger } from './erasure-ledger.js';
export { erasureStores } from './erasure-stores.js';
export { ErasureWorkflows } from './erasure-workflows.js';
export { erasureGrounds, Erasures, type ErasureGround, type ErasureView } from './erasures.js';
export { PrivacyJanitor } from './privacy-janitor.js';
export { ProcessingRecords, type ProcessingRecordsView } from './processing-records.js';
export { SubjectExport, type SubjectExportView } from './subject-export.js';
