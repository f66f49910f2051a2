import { digit, type StructuredRule } from './structured-rule.js';

function isIpv6(found: string): boolean {
  const groups = found.split(':');
  if (found.split('::').length > 2 || groups.length > 8) return false;
  // A time of day reads alike.
  if (found.includes('::'))
    return groups.filter((group) => group !== '').length > 1 && !/^\d{1,2}(::?\d{1,2}){1,2}$/.test(found);
  return groups.length === 8;
}

export const networkRules: readonly StructuredRule[] = [
  {
    type: 'mac_address',
    needs: /[\da-f]{2}[:-][\da-f]{2}|[\da-f]{4}\.[\da-f]{4}/i,
    pattern:
      /(?<![\w:-])(?:[\dA-Fa-f]{2}(?<colon>[:-])(?:[\dA-Fa-f]{2}\k<colon>){4}[\dA-Fa-f]{2}|(?:[\dA-Fa-f]{4}\.){2}[\dA-Fa-f]{4})(?![\w:-])/g,
  },
  {
    type: 'ip_address',
    needs: digit,
    pattern: /(?<![\d.\w])(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(?:25[0-5]|2[0-4]\d|1?\d?\d)(?!\.?\d|\w)/g,
    isMeant: (value, { before }) =>
      !/^(?:0\.0\.0\.0|127\.0\.0\.1|255\.255\.255\.\d+)$/.test(value) &&
      !/(?:\bv|version|release|firmware|section|chapter|build)[ .:]{0,3}$/.test(before),
  },
  {
    type: 'ip_address',
    needs: /:[\da-f]{0,4}:/i,
    pattern: /(?<![\w:.])(?:[\dA-Fa-f]{0,4}:){2,7}[\dA-Fa-f]{1,4}(?![\w:])/g,
    isMeant: isIpv6,
  },
  {
    type: 'device_id',
    needs: /-/,
    pattern: /(?<![\w-])[\dA-Fa-f]{8}-[\dA-Fa-f]{4}-[1-8][\dA-Fa-f]{3}-[\dA-Fa-f]{4}-[\dA-Fa-f]{12}(?![\w-])/g,
  },
  {
    type: 'device_id',
    needs: /imei|imsi|iccid|esn|meid/i,
    pattern: /\b(?:imei|imsi|iccid|esn|meid)(?: (?:number|no\.?|code|is))*[ :#=]{0,3}(\d(?:[ -]?\d){13,19})(?!\d)/gi,
  },
];
