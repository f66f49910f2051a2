export type { GateName, GateResult, Severity, Span, Subject, Tense } from './contracts.js';
