/** A JSON text as foreign servers write it, with what plain JSON.parse would lose or refuse. */
export interface WideJson {
  /** Integers beyond 2^53 are bigint. Infinities are numbers; NaN is null, which `hasNaN` tells. */
  value: unknown;
  hasNaN: boolean;
}

// A text is skipped as a whole: what looks like a token inside of it is none.
const tokens = /"[^"\\]*(?:\\.[^"\\]*)*"|-?\bInfinity\b|\bNaN\b/g;
const longInteger = /\d{16}/;
const wholeNumber = /^-?\d+$/;

/**
 * Reads JSON in which 64-bit integers keep all their digits, and which may hold the tokens `NaN`, `Infinity` and
 * `-Infinity` (as Python and TensorFlow Serving write them).
 * @throws SyntaxError
 */
export function parseWideJson(text: string): WideJson {
  if (!text.includes('NaN') && !text.includes('Infinity')) return { value: parseExact(text), hasNaN: false };
  let hasNaN = false;
  const plain = text.replace(tokens, (token) => {
    if (token.startsWith('"')) return token;
    // A number out of range is an infinity to every reader of JSON that has one.
    if (token !== 'NaN') return token.startsWith('-') ? '-1e999' : '1e999';
    hasNaN = true;
    return 'null';
  });
  return { value: parseExact(plain), hasNaN };
}

type SourceReviver = (key: string, value: unknown, context?: { source?: string }) => unknown;

function parseExact(text: string): unknown {
  // The reviver costs much, and only a text with a long number needs it.
  if (!longInteger.test(text)) return JSON.parse(text);
  const exact: SourceReviver = (_key, value, context) => {
    if (typeof value !== 'number' || Number.isSafeInteger(value)) return value;
    return context?.source !== undefined && wholeNumber.test(context.source) ? BigInt(context.source) : value;
  };
  return JSON.parse(text, exact);
}
