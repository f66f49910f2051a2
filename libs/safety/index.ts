export { TextGates, type TextJudgement } from './gates.js';
export type { GateName, GateResult, Severity, Span, Subject, Tense } from './contracts.js';
export { PersonalRedactor } from './redaction/personal-redactor.js';
