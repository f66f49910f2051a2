import { isObject, type JsonObject } from './field-rules.js';
import { latin1, parsedLatin1 } from './latin1.js';

const numbersOpening = /"embedding"\s*:\s*\[/;

/**
 * The SDKs ask for base64 of little-endian 32-bit floats where nobody says otherwise, and one of them takes nothing else.
 * Many servers do not know it: theirs are changed here.
 */
export function asBase64(answer: string, { encoding_format: wanted }: JsonObject): string {
  if (wanted !== 'base64' || !numbersOpening.test(answer.slice(0, 1_024))) return answer;
  const parsed = parsedLatin1(answer) as { data?: unknown };
  if (!Array.isArray(parsed.data)) return answer;
  for (const entry of parsed.data as unknown[]) {
    if (!isObject(entry) || !Array.isArray(entry['embedding'])) continue;
    entry['embedding'] = littleEndian(entry['embedding'] as number[]).toString('base64');
  }
  return latin1(parsed);
}

function littleEndian(values: readonly number[]): Buffer {
  const bytes = Buffer.allocUnsafe(values.length * 4);
  values.forEach((value, at) => bytes.writeFloatLE(value, at * 4));
  return bytes;
}
