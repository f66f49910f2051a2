import { isBase58Check, isBech32, isLuhn, isMod97, isRoutingNumber } from './check-digits.js';
import { digit, digitsOf, type StructuredRule, type Surroundings } from './structured-rule.js';

const cardWords =
  /\b(?:card|cc|credit|debit|visa|mastercard|amex|maestro|discover|diners|jcb|kreditkarte|tarjeta|carte|pan)\b[^\n]{0,44}$/;

/** ISO/IEC 7812: the first digits of banking and travel; with a card spoken of, a wrong check digit is a slip of the pen. */
function isCard(value: string, { before }: Surroundings): boolean {
  const digits = digitsOf(value);
  if (digits.length < 12 || digits.length > 19) return false;
  const isAnnounced = cardWords.test(before);
  if (isAnnounced) return true;
  if (/\b(?:isbn|tracking|order|imei|account|phone|tel|call)\b[^\n]{0,24}$/.test(before)) return false;
  const isIssued =
    digits.length === 12 ? /^(?:50|5[6-8]|6)/.test(digits) : /^(?:1800|2131|2[2-7]|3[0-9]|4|5|6)/.test(digits);
  return isIssued && isLuhn(digits);
}

/** ISO 13616 register: the length of an account number by its country. */
const ibanLengths: Readonly<Record<string, number>> = Object.fromEntries(
  (
    'AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BI27 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DJ27 DK18 DO28 EE20 EG29 ES24 FI18 ' +
    'FK18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 KW30 KZ20 LB28 LC32 LI21 LT20 LU20 ' +
    'LV21 LY25 MC27 MD24 ME22 MK19 MN20 MR27 MT31 MU30 NI28 NL18 NO15 OM23 PK24 PL28 PS29 PT25 QA29 RO24 RS22 RU33 SA24 SC31 ' +
    'SD18 SE24 SI19 SK24 SM27 SO23 ST25 SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20'
  )
    .split(' ')
    .map((entry) => [entry.slice(0, 2), Number(entry.slice(2))]),
);

/** Cuts what the pattern took too much: the words behind an account number read like groups of it. */
function ibanLength(found: string): number {
  const length = ibanLengths[found.slice(0, 2).toUpperCase()];
  if (length === undefined) return 0;
  let taken = 0;
  for (let index = 0; index < found.length; index += 1) {
    if (/[\dA-Za-z]/.test(found[index]!)) taken += 1;
    if (taken === length) return index + 1;
  }
  return 0;
}

export const ibanPattern = /(?<![\dA-Za-z])[A-Za-z]{2}\d{2}(?:[ -]?[\dA-Za-z]){11,30}/g;

/** @returns the length of the account number at the start of `found`; 0 where there is none */
export function ibanIn(found: string, before: string): number {
  const length = ibanLength(found);
  const compact = found.slice(0, length).replaceAll(/[ -]/g, '').toUpperCase();
  if (length > 0 && isMod97(compact)) return length;
  const isAnnounced = /\b(?:iban|account|bank|transfer|konto|payment)\b[^\n]{0,40}$/i.test(before);
  if (!isAnnounced && length === 0) return 0;
  // Written in one piece, or in one piece with a country of the register: as good as announced.
  const piece = /^[\dA-Za-z]{15,34}(?![\dA-Za-z])/.exec(found)?.[0];
  if (piece !== undefined && (isAnnounced || piece.length === length) && /\d{8}/.test(piece)) return piece.length;
  return isAnnounced ? length : 0;
}

const cryptoRules: readonly StructuredRule[] = [
  {
    type: 'crypto_address',
    needs: digit,
    pattern: /(?<![\dA-Za-z])[13][1-9A-HJ-NP-Za-km-z]{25,34}(?![\dA-Za-z])/g,
    isMeant: (value) => isBase58Check(value),
  },
  {
    type: 'crypto_address',
    needs: /(?:bc|tb)1/i,
    pattern: /(?<![\dA-Za-z])(?:bc1|tb1|BC1|TB1)[02-9ac-hj-np-zAC-HJ-NP-Z]{11,87}(?![\dA-Za-z])/g,
    isMeant: (value) => isBech32(value.toLowerCase()),
  },
  { type: 'crypto_address', needs: /0x/, pattern: /(?<![\dA-Za-z])0x[\dA-Fa-f]{40}(?![\dA-Za-z])/g },
];

export const paymentRules: readonly StructuredRule[] = [
  ...cryptoRules,
  { type: 'credit_card', needs: digit, pattern: /(?<![\p{L}\d.])\d(?:[ -]?\d){11,18}(?!\d)/gu, isMeant: isCard },
  {
    type: 'credit_card',
    needs: /\b(?:cvv|cvc|cv2|security code|ending in|ends in|last (?:4|four))\b/i,
    pattern:
      /\b(?:cvv2?|cvc2?|cv2|security code|(?:card|visa|mastercard|amex|debit|credit)(?: \w{1,10}){0,2} (?:ending|ends) in|last (?:4|four)(?: digits)? of (?:my|the) card)(?: (?:is|are)|[ :#]){0,2} ?(\d{3,4})(?!\d)/gi,
  },
  {
    type: 'bank_routing',
    needs: digit,
    pattern: /(?<![\d-])\d{4}[ -]?\d{4}[ -]?\d(?![\d-])/g,
    isMeant: (value, { before }) =>
      /\b(?:routing|aba|rtn|transit)\b[^\n]{0,30}$/.test(before) ||
      (isRoutingNumber(digitsOf(value)) && /\bbank\b[^\n]{0,24}$/.test(before)),
  },
  {
    type: 'bic',
    needs: /\b(?:swift|bic)\b/i,
    pattern:
      /\b(?:swift|bic)\b(?:[ /-](?:code|bic|number|no\.?))*(?: is)?[ :=#-]{0,3}([A-Za-z]{6}[\dA-Za-z]{2}(?:[\dA-Za-z]{3})?)(?![\dA-Za-z])/gi,
  },
  {
    type: 'bank_routing',
    needs: /sort/i,
    pattern: /\bsort(?:ing)?[ -]?code(?: is)?[ :=#]{0,3}(\d{2}[ -]?\d{2}[ -]?\d{2})(?!\d)/gi,
  },
];
