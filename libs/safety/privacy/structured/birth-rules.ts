import { digit, type StructuredRule, type Surroundings } from './structured-rule.js';

const birthWords = /\b(?:born|dob|d\.o\.b|birth|birthday|birthdate|bday|b-day|geboren|nacido|nacida|nee)\b[^\n]{0,36}$/;
const isBirth = (_: string, { before, after }: Surroundings): boolean =>
  birthWords.test(before) || /^[ ,(]{0,3}\(?(?:dob|birthday|is my birthday)\b/.test(after);
const notBirth = (value: string, around: Surroundings): boolean => !isBirth(value, around);

const months =
  '(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?|' +
  'januar|februar|märz|mai|juni|juli|oktober|dezember|enero|febrero|marzo|abril|mayo|junio|julio|agosto|septiembre|octubre|noviembre|diciembre|' +
  'janvier|février|mars|avril|juin|juillet|août|septembre|octobre|novembre|décembre)';
const day = String.raw`(?:0?[1-9]|[12]\d|3[01])(?:st|nd|rd|th)?`;
const year = String.raw`(?:1[89]|20)\d{2}`;
const time = String.raw`(?:(?:,? (?:at )?|T)\d{1,2}:\d{2}(?::\d{2})?(?: ?[ap]\.?m\.?|Z)?)?`;

const fullDate = String.raw`(?<![\d/.\w-])(?:(?:0?[1-9]|[12]\d|3[01])/(?:0?[1-9]|[12]\d|3[01])/(?:${year}|\d{2})|(?:0?[1-9]|[12]\d|3[01])(?<dot>[.-])(?:0?[1-9]|[12]\d|3[01])\k<dot>${year}|${year}(?<dash>[-./])(?:0?[1-9]|1[0-2])\k<dash>(?:0?[1-9]|[12]\d|3[01])|${day}(?: of)?[ .-]{1,2}${months}\.?,?[ -]${year}|${months}\.? ${day},? ${year})${time}(?![\d/]|-\d)`;
const partialDate = String.raw`(?<![\d/.\w-])(?:${day}(?: of)? ${months}|${months}\.? ${day})(?![\d/\w]|-\d| (?:years?|days|weeks|months|hours|times)\b)`;
const shortDate = String.raw`(?<![\d/.\w-])(?:(?:0?[1-9]|[12]\d|3[01])(?<slash>[/.-])(?:0?[1-9]|[12]\d|3[01])\k<slash>\d{2})(?![\d/]|[-.]\d)`;
const needsDate = /\d/;

const ageWords = String.raw`(?:[- ]?(?:years?|yrs?)[- ]?(?:old|of age)?|[- ]?y/?o\b|[- ]?year[- ]old)`;

export const birthRules: readonly StructuredRule[] = [
  { type: 'date_of_birth', needs: needsDate, pattern: new RegExp(fullDate, 'gi'), isMeant: isBirth },
  { type: 'date_of_birth', needs: /born|birth|dob|bday/i, pattern: new RegExp(partialDate, 'gi'), isMeant: isBirth },
  { type: 'date_of_birth', needs: /born|birth|dob|bday/i, pattern: new RegExp(shortDate, 'gi'), isMeant: isBirth },
  { type: 'date', needs: needsDate, pattern: new RegExp(fullDate, 'gi'), isMeant: notBirth },
  { type: 'partial_date', needs: needsDate, pattern: new RegExp(partialDate, 'gi'), isMeant: notBirth },
  {
    type: 'age_over_89',
    needs: digit,
    pattern: new RegExp(String.raw`(?<![\d.,$£€/-])(?:9\d|1[01]\d|12[0-5])(?=${ageWords}(?: old|-old|\b))`, 'gi'),
    isMeant: (_, { before, after }) =>
      /^[- ]?(?:years?|yrs?)[- ](?:old|of age)|^[- ]?y\/?o|^[- ]year-old/.test(after) &&
      !/\b(?:house|building|tree)\b/.test(before),
  },
  {
    type: 'age_over_89',
    needs: digit,
    pattern:
      /\b(?:aged?|turn(?:ed|s|ing)?|age of)[ :]{1,2}(9\d|1[01]\d)(?![\d%.,]?\d|%| (?:percent|times|days|minutes|pounds))/gi,
  },
  {
    type: 'age',
    needs: digit,
    pattern: new RegExp(
      String.raw`(?<![\d.,$£€/-])(?:1\d|[2-8]\d|\d)(?=[- ]?(?:years?|yrs?)[- ](?:old|of age)|[- ]?y/?o\b)`,
      'gi',
    ),
  },
];
