export type { GateName, GateResult, Severity, Span, Subject, Tense } from './contracts.js';
export { PersonalRedactor } from './redaction/personal-redactor.js';
