export { safetyLexicon } from './safety-lexicon.js';
export { foldText } from './text/fold.js';
export { readWords } from './text/words.js';
export { TextGates, type TextJudgement } from './gates.js';
export type { GateName, GateResult, Severity, Span, Subject, Tense } from './contracts.js';
export { redactFinally } from './redaction/final-redaction.js';
export { PersonalRedactor } from './redaction/personal-redactor.js';
