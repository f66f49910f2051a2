import type { PersonalType } from '../personal-kinds.js';
import { isDea, isNpi, isVin } from './check-digits.js';
import { digit, digitsOf, type StructuredRule } from './structured-rule.js';

/** What announces the number, after the word for its kind: "number is", "no.", "#", ":". */
const connector = String.raw`(?:[ \t]{1,2}(?:numbers?|nos?\.?|num\.?|nr\.?|id|ids|code|card|plate|ref(?:erence)?|\(mrn\)))?(?:[ \t]{0,2}#)?(?:[ \t]{1,2}(?:is|was|are|of|under|as)|[ \t]{0,2}[:=])?[ \t:#"'(-]{0,4}`;
const compactValue = String.raw`((?=[A-Za-z-]{0,12}\d)[\dA-Za-z](?:[-/.]?[\dA-Za-z]){3,22})`;
const digitsInGroups = String.raw`(\d(?:[ -]?\d){4,19})`;

interface Label {
  readonly type: PersonalType;
  readonly words: string;
  readonly value?: string;
}

const labels: readonly Label[] = [
  { type: 'passport', words: String.raw`passport|reisepass|pasaporte|passeport` },
  {
    type: 'drivers_licence',
    words: String.raw`driver'?s?'?[ -]licen[cs]es?|driving licen[cs]e|drivers? lic\.?|dl|führerschein|licencia de conducir`,
    value: String.raw`((?=[A-Za-z -]{0,6}\d)[\dA-Za-z](?:[- ]?[\dA-Z]){4,20}(?![a-z]))`,
  },
  {
    type: 'medical_record',
    words: String.raw`mrn|medical record|health record|chart|hospital|patient (?:id|number|no\.?)|emr|ehr`,
  },
  {
    type: 'health_plan',
    words: String.raw`member(?:ship)?|policy|subscriber|insurance|health plan|medicare|medicaid|beneficiary|group|rx ?bin|plan`,
  },
  {
    type: 'account',
    words: String.raw`account|acct\.?|a/c|loan|customer|client (?:id|number|no\.?)|konto|bank`,
    value: digitsInGroups,
  },
  { type: 'account', words: String.raw`account|acct\.?|customer|client (?:id|number|no\.?)` },
  { type: 'case_number', words: String.raw`case|docket|claim|incident|court file|file|police report|ticket|reference` },
  {
    type: 'certificate',
    words: String.raw`licen[cs]e|certificate|certification|badge|employee|student|staff|payroll|registration|voter|id card|national id|tax ?payer|tin|personnel`,
  },
  { type: 'device_id', words: String.raw`serial|device|udid|idfa|pacemaker|implant` },
  { type: 'biometric_id', words: String.raw`fingerprint|biometric|retina|iris scan|voiceprint|face ?id` },
];

const standingLabels = /\b(?:id|ids|number|numbers|no|nos|num|nr|code|ref|reference|plate|mrn|#)\b|#|[:=]/i;

/** "case 3 of them", "file 2024": without a word for a number between them, only what is long and looks like one. */
function isIdentifier(found: string, announcement: string): boolean {
  const digits = digitsOf(found).length;
  if (digits === 0 || /^(?:19|20)\d{2}$/.test(found)) return false;
  if (standingLabels.test(announcement)) return digits >= 3;
  return digits >= 5 && !/ /.test(found);
}

function labelledRule({ type, words, value: form }: Label): StructuredRule {
  const source = String.raw`(?<![\p{L}\p{N}])(?:${words})${connector}${form ?? compactValue}(?![\p{L}\p{N}])`;
  return {
    type,
    needs: digit,
    pattern: new RegExp(source, 'giu'),
    isMeant: (found, { before }) => isIdentifier(found, before.slice(-24)),
  };
}

export const labelledRules: readonly StructuredRule[] = [
  {
    type: 'licence_plate',
    needs: /plate|tag|registration|reg\b|kennzeichen/i,
    pattern: new RegExp(
      String.raw`(?<![\p{L}\p{N}])(?:licen[cs]e plate|number plate|plates?|car registration|vehicle registration|reg|kennzeichen)${connector}((?=[A-Za-z -]{0,5}\d)[\dA-Z]{1,4}(?:[- ]?[\dA-Z]{1,4}){1,3})(?![\p{L}\p{N}])`,
      'giu',
    ),
    isMeant: (found) => /\d/.test(found) && found.length >= 4 && /[A-Za-z]|\d{4}/.test(found),
  },
  ...labels.map(labelledRule),
  {
    type: 'vin',
    needs: digit,
    pattern: /(?<![\dA-Za-z])(?=[A-Z\d]{0,12}\d)[A-HJ-NPR-Za-hj-npr-z\d]{17}(?![\dA-Za-z])/g,
    isMeant: (found, { before }) =>
      /[A-Z]/i.test(found) && (isVin(found.toUpperCase()) || /\b(?:vin|vehicle id|chassis)\b[^\n]{0,30}$/.test(before)),
  },
  {
    type: 'dea',
    needs: digit,
    pattern: /(?<![\dA-Za-z])[A-HJ-NPRSTUXa-hj-nprstux][A-Za-z9]\d{7}(?![\dA-Za-z])/g,
    isMeant: (found, { before }) => isDea(found) || /\bdea\b[^\n]{0,24}$/.test(before),
  },
  {
    type: 'npi',
    needs: /npi|provider/i,
    pattern: /\b(?:npi|provider id(?:entifier)?)\b[^\n\d]{0,20}(\d{10})(?!\d)/gi,
    isMeant: (found, { before }) => isNpi(found) || /npi/.test(before),
  },
];
