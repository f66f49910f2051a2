import { personalKinds, type PersonalSpan } from '../privacy/personal-kinds.js';

/** One stretch of the redacted text: a placeholder where `span` stands, else text as it was. Offsets of both texts. */
interface Stretch {
  readonly from: number;
  readonly givenStart: number;
  readonly givenEnd: number;
  readonly isPlaceholder: boolean;
}

interface Redacted {
  readonly text: string;
  readonly stretches: readonly Stretch[];
}

/** Every span replaced by the placeholder of its type; overlapping ones are one, called by the gravest. */
export function redact(text: string, spans: readonly PersonalSpan[]): string {
  return redactWithMap(text, mergedSpans(text, spans)).text;
}

/** Spans in order, none overlapping another, none cutting a surrogate pair, all within the text. */
export function mergedSpans(text: string, spans: readonly PersonalSpan[]): PersonalSpan[] {
  const merged: PersonalSpan[] = [];
  for (const span of [...spans].sort((one, other) => one.start - other.start || other.end - one.end)) {
    const start = wholeBefore(text, Math.max(0, span.start));
    const end = wholeAfter(text, Math.min(text.length, span.end));
    if (end <= start) continue;
    const last = merged.at(-1);
    if (last === undefined || last.end <= start) {
      merged.push({ type: span.type, start, end });
      continue;
    }
    const isGraver = personalKinds[span.type].severity > personalKinds[last.type].severity;
    merged[merged.length - 1] = {
      type: isGraver ? span.type : last.type,
      start: last.start,
      end: Math.max(last.end, end),
    };
  }
  return merged;
}

const isHigh = (code: number): boolean => code >= 0xd800 && code <= 0xdbff;
const isLow = (code: number): boolean => code >= 0xdc00 && code <= 0xdfff;
const cutsPair = (text: string, at: number): boolean =>
  at > 0 && at < text.length && isLow(text.charCodeAt(at)) && isHigh(text.charCodeAt(at - 1));
const wholeBefore = (text: string, at: number): number => (cutsPair(text, at) ? at - 1 : at);
const wholeAfter = (text: string, at: number): number => (cutsPair(text, at) ? at + 1 : at);

/** @param spans merged */
export function redactWithMap(text: string, spans: readonly PersonalSpan[]): Redacted {
  const stretches: Stretch[] = [];
  const parts: string[] = [];
  let length = 0;
  const add = (part: string, givenStart: number, givenEnd: number, isPlaceholder: boolean): void => {
    if (part === '') return;
    stretches.push({ from: length, givenStart, givenEnd, isPlaceholder });
    parts.push(part);
    length += part.length;
  };
  let at = 0;
  for (const { type, start, end } of spans) {
    add(text.slice(at, start), at, start, false);
    add(personalKinds[type].placeholder, start, end, true);
    at = end;
  }
  add(text.slice(at), at, text.length, false);
  return { text: parts.join(''), stretches };
}

/** Spans of the redacted text as spans of the text before; one that touches a placeholder takes all that it stands for. */
export function inTextBefore(spans: readonly PersonalSpan[], { stretches }: Redacted): PersonalSpan[] {
  const before: PersonalSpan[] = [];
  let next = 0;
  for (const { type, start, end } of spans) {
    while (next + 1 < stretches.length && stretches[next + 1]!.from <= start) next += 1;
    let last = next;
    while (last + 1 < stretches.length && stretches[last + 1]!.from < end) last += 1;
    const [head, tail] = [stretches[next], stretches[last]];
    if (head === undefined || tail === undefined) continue;
    before.push({
      type,
      start: head.isPlaceholder ? head.givenStart : head.givenStart + start - head.from,
      end: tail.isPlaceholder ? tail.givenEnd : tail.givenStart + end - tail.from,
    });
  }
  return before;
}
