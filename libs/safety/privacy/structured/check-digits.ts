import { createHash } from 'node:crypto';

/** ISO/IEC 7812-1, annex B: the Luhn check. @param digits nothing but digits */
export function isLuhn(digits: string): boolean {
  let sum = 0;
  for (let index = 0; index < digits.length; index += 1) {
    const digit = Number(digits[digits.length - 1 - index]);
    const weighed = index % 2 === 0 ? digit : digit * 2;
    sum += weighed > 9 ? weighed - 9 : weighed;
  }
  return sum % 10 === 0 && !/^0+$/.test(digits);
}

/** ISO 13616: the country and check digits moved to the end, letters as numbers, modulo 97 is 1. */
export function isMod97(compact: string): boolean {
  let rest = 0;
  for (const character of compact.slice(4) + compact.slice(0, 4)) {
    const value = Number.parseInt(character, 36);
    rest = (rest * (value > 9 ? 100 : 10) + value) % 97;
  }
  return rest === 1;
}

const weighted = (digits: string, weights: readonly number[]): number =>
  weights.reduce((sum, weight, index) => sum + weight * Number(digits[index]), 0);

/** American Bankers Association: weights 3, 7, 1 over nine digits. */
export const isRoutingNumber = (digits: string): boolean =>
  /^(?:0\d|1[0-2]|2[1-9]|3[0-2]|6[1-9]|7[0-2]|80)\d{7}$/.test(digits) &&
  weighted(digits, [3, 7, 1, 3, 7, 1, 3, 7, 1]) % 10 === 0;

/** National Provider Identifier: Luhn over the digits behind the prefix 80840. */
export const isNpi = (digits: string): boolean => /^[12]\d{9}$/.test(digits) && isLuhn(`80840${digits}`);

/** Drug Enforcement Administration: two letters, seven digits; the last is the end of (1+3+5) + 2 (2+4+6). */
export function isDea(value: string): boolean {
  const digits = value.slice(2);
  return weighted(digits, [1, 2, 1, 2, 1, 2]) % 10 === Number(digits[6]);
}

const vinValues = '0123456789.ABCDEFGH..JKLMN.P.R..STUVWXYZ';
const vinWeights = [8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2];

/** ISO 3779 with the check digit of North America (49 CFR 565). @param vin seventeen characters in upper case */
export function isVin(vin: string): boolean {
  const sum = vinWeights.reduce((total, weight, index) => total + weight * (vinValues.indexOf(vin[index]!) % 10), 0);
  return vin[8] === (sum % 11 === 10 ? 'X' : String(sum % 11));
}

const base58 = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz';

/** Bitcoin's Base58Check: the last four bytes are the head of the double SHA-256 of the others. */
export function isBase58Check(address: string): boolean {
  let number = 0n;
  for (const character of address) number = number * 58n + BigInt(base58.indexOf(character));
  const bytes = Buffer.from(number.toString(16).padStart(50, '0'), 'hex');
  if (bytes.length !== 25) return false;
  const twice = createHash('sha256')
    .update(createHash('sha256').update(bytes.subarray(0, 21)).digest())
    .digest();
  return twice.subarray(0, 4).equals(bytes.subarray(21));
}

const bech32 = 'qpzry9x8gf2tvdw0s3jn54khce6mua7l';
const generators = [0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3];

/** BIP 173 (checksum 1) and BIP 350 (0x2bc830a3). @param address in lower case, with the prefix "bc1" or "tb1" */
export function isBech32(address: string): boolean {
  let check = 1;
  const step = (value: number): void => {
    const top = check >>> 25;
    check = ((check & 0x1ffffff) << 5) ^ value;
    generators.forEach((generator, bit) => {
      if ((top >>> bit) & 1) check ^= generator;
    });
  };
  const prefix = address.slice(0, 2);
  for (const character of prefix) step((character.codePointAt(0) ?? 0) >>> 5);
  step(0);
  for (const character of prefix) step((character.codePointAt(0) ?? 0) & 31);
  for (const character of address.slice(3)) step(bech32.indexOf(character));
  return check === 1 || check === 0x2bc830a3;
}
