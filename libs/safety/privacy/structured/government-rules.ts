import { digit, type StructuredRule, type Surroundings } from './structured-rule.js';

const ssnWords = /\b(?:ssn|ss#|ss number|social|socials|social security|social insurance|sin)\b[^\n]{0,36}$/;
const hasSsnWords = (_: string, { before }: Surroundings): boolean => ssnWords.test(before);

export const governmentRules: readonly StructuredRule[] = [
  {
    type: 'us_itin',
    needs: digit,
    pattern: /(?<![\d-])9\d{2}[- ](?:5\d|6[0-5]|7\d|8[0-8]|9[0-24-9])[- ]\d{4}(?![\d-])/g,
  },
  { type: 'us_ssn', needs: digit, pattern: /(?<![\d-])(?!000|666|9)\d{3}[- ](?!00)\d{2}[- ](?!0000)\d{4}(?![\d-])/g },
  { type: 'us_ssn', needs: digit, pattern: /(?<![\d-])\d{3}[-. ]?\d{2}[-. ]?\d{4}(?![\d-])/g, isMeant: hasSsnWords },
  {
    type: 'us_ssn',
    needs: /social|ssn/i,
    pattern:
      /\blast (?:4|four)(?: digits)?(?: of)?(?: my| the| his| her)? (?:ssn|social(?: security)?(?: number)?)(?: (?:is|are|being))?[ :]{0,3}(\d{4})(?!\d)/gi,
  },
  {
    type: 'us_ein',
    needs: /\b(?:f?ein|employer id|tax id|employer identification)/i,
    pattern: /\b(?:f?ein|employer (?:id|identification)|tax id)\b[^\n\d]{0,30}(\d{2}-?\d{7})(?!\d)/gi,
  },
  {
    type: 'uk_nhs',
    needs: /nhs|health service/i,
    pattern: /\b(?:nhs|health service)\b[^\n\d]{0,30}(\d{3}[ -]?\d{3}[ -]?\d{4})(?!\d)/gi,
  },
  {
    type: 'uk_nino',
    needs: digit,
    pattern:
      /(?<![\dA-Za-z])(?!BG|GB|NK|KN|TN|NT|ZZ)[A-CEGHJ-PR-TW-Za-ceghj-pr-tw-z][A-CEGHJ-NPR-TW-Za-ceghj-npr-tw-z][ -]?\d{2}[ -]?\d{2}[ -]?\d{2}[ -]?[A-Da-d](?![\dA-Za-z])/g,
  },
];
