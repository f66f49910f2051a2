export { appendAudit, type AuditEvent } from './audit-trail.js';
