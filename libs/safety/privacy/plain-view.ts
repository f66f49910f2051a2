/**
 * The text as the rules read it: signs of full width as their plain ones, and without what has no width, so that a number
 * hidden so is found. `offsets[i]` is the place of the i-th unit in the text as given; absent where nothing was changed.
 */
interface PlainView {
  readonly text: string;
  readonly offsets?: Uint32Array;
}

const hidden = /[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff]/;
const unusual =
  /[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff\uff01-\uff5e\u00a0\u2007\u2009\u202f\u2010-\u2012\u2212\u0660-\u0669]/;

function plainUnit(unit: string): string {
  const code = unit.codePointAt(0) ?? 0;
  if (code >= 0xff01 && code <= 0xff5e) return String.fromCodePoint(code - 0xfee0);
  if (code >= 0x660 && code <= 0x669) return String(code - 0x660);
  if (code === 0xa0 || code === 0x2007 || code === 0x2009 || code === 0x202f) return ' ';
  return (code >= 0x2010 && code <= 0x2012) || code === 0x2212 ? '-' : unit;
}

export function plainView(text: string): PlainView {
  if (!unusual.test(text)) return { text };
  const offsets = new Uint32Array(text.length + 1);
  const units: string[] = [];
  for (let index = 0; index < text.length; index += 1) {
    const unit = text[index]!;
    if (hidden.test(unit)) continue;
    offsets[units.length] = index;
    units.push(plainUnit(unit));
  }
  offsets[units.length] = text.length;
  return { text: units.join(''), offsets };
}

/** @returns the span in the text as given; its end is behind the last unit, before what is hidden after it */
export function inGivenText<S extends { readonly start: number; readonly end: number }>(
  span: S,
  { offsets }: PlainView,
): S {
  if (offsets === undefined) return span;
  return { ...span, start: offsets[span.start] ?? 0, end: (offsets[span.end - 1] ?? 0) + 1 };
}
