import type { PayloadRedactor, Redactions } from './payload-redactor.js';

interface Rule {
  kind: string;
  pattern: RegExp;
  /** Left out: whatever the pattern finds is it. */
  isMeant?(found: string): boolean;
}

/**
 * Finds what has a form that a machine can check: addresses, numbers with check digits, keys. It knows no names and no
 * places. Each pattern is bounded in length, so that no text makes it slow. In order: what is longest and surest first.
 */
const rules: readonly Rule[] = [
  {
    kind: 'private-key',
    pattern: /-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----[\s\S]{0,10000}?(?:-----END [A-Z ]{0,30}PRIVATE KEY-----|$)/g,
  },
  {
    kind: 'key',
    // Bearer tokens, JSON Web Tokens, and the prefixes by which widely used services mark their keys.
    pattern:
      /\b[Bb]earer\s{1,4}[\w.~+/-]{8,4096}=*|\beyJ[\w-]{8,4096}\.[\w-]{4,4096}\.[\w-]{0,4096}|\b(?:sk|pk|rk|slu|ghp|gho|ghs|xox[abp]|AKIA|ASIA)[-_]?[A-Za-z0-9][\w-]{14,512}/g,
  },
  { kind: 'email', pattern: /[\p{L}\p{N}._%+'-]{1,64}(?:@|%40)[\p{L}\p{N}-]{1,63}(?:\.[\p{L}\p{N}-]{1,63}){1,8}/gu },
  { kind: 'iban', pattern: /\b[A-Za-z]{2}\d{2}(?:[ -]?[A-Za-z0-9]){11,30}\b/g, isMeant: isIban },
  { kind: 'card', pattern: /(?<!\d)\d(?:[ -]?\d){12,18}(?!\d)/g, isMeant: isCard },
  { kind: 'ssn', pattern: /(?<![\d-])(?!000|666|9)\d{3}[- ](?!00)\d{2}[- ](?!0000)\d{4}(?![\d-])/g },
  {
    kind: 'ip',
    pattern: /(?<![\d.])(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(?:25[0-5]|2[0-4]\d|1?\d?\d)(?![\d.])/g,
  },
  { kind: 'ip', pattern: /(?<![\w:])(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f]{1,4}(?![\w:])/g, isMeant: isIpv6 },
  {
    kind: 'phone',
    pattern:
      /(?<![\w.+-])(?:\+|00)\d(?:[ ()./-]{0,3}\d){6,14}(?!\d)|(?<![\w.-])\(?\d{2,5}\)?[ /.-]\d{2,4}(?:[ .-]\d{2,4}){1,4}(?![\d.-])/g,
    isMeant: isPhone,
  },
];

/** Deterministic: the same text is always redacted in the same way, and what is put in says what was there. */
export class StructuredRedactor implements PayloadRedactor {
  redact(text: string, redactions: Redactions): string {
    // Digits and signs of other scripts and widths read the same to people, and to a model.
    const plain = text.normalize('NFKC').replace(/[\u200b-\u200d\u2060\ufeff\u00ad]/g, '');
    return rules.reduce(
      (given, { kind, pattern, isMeant }) =>
        given.replace(pattern, (found) => {
          if (isMeant?.(found) === false) return found;
          redactions[kind] = (redactions[kind] ?? 0) + 1;
          return `[${kind}]`;
        }),
      plain,
    );
  }
}

/** ISO/IEC 7812-1, annex B: the Luhn check. */
function isCard(found: string): boolean {
  const digits = found.replaceAll(/\D/g, '');
  let sum = 0;
  for (let index = 0; index < digits.length; index += 1) {
    const digit = Number(digits[digits.length - 1 - index]);
    const weighed = index % 2 === 0 ? digit : digit * 2;
    sum += weighed > 9 ? weighed - 9 : weighed;
  }
  return sum % 10 === 0 && !/^0+$/.test(digits);
}

/** ISO 13616: the country and check digits moved to the end, letters as numbers, modulo 97 is 1. */
function isIban(found: string): boolean {
  const text = found.replaceAll(/[ -]/g, '').toUpperCase();
  let rest = 0;
  for (const character of text.slice(4) + text.slice(0, 4)) {
    const value = Number.parseInt(character, 36);
    rest = (rest * (value > 9 ? 100 : 10) + value) % 97;
  }
  return rest === 1;
}

function isIpv6(found: string): boolean {
  const groups = found.split(':');
  if (found.split('::').length > 2) return false;
  // A time of day reads alike.
  return found.includes('::')
    ? groups.some((group) => group !== '') && !/^\d{1,2}(::?\d{1,2}){1,2}$/.test(found)
    : groups.length === 8;
}

/** E.164: at most 15 digits; fewer than 7 are no number that one could call. A date is none either. */
function isPhone(found: string): boolean {
  const { length } = found.replaceAll(/\D/g, '');
  return length >= 7 && length <= 15 && !/^(?:19|20)\d{2}-\d{2}-\d{2}$/.test(found);
}
