import { type GateResult, nothingFound, type Severity } from '../contracts.js';
import { findAddresses } from './addresses/find-addresses.js';
import { findLocations } from './addresses/find-locations.js';
import { findNames } from './names/name-recogniser.js';
import { wordTokens } from './names/word-tokens.js';
import { personalKinds, type PersonalSpan, type PersonalType, placeholderPattern } from './personal-kinds.js';
import { inGivenText, plainView } from './plain-view.js';
import { findQuasiIdentifiers } from './quasi-identifiers.js';
import { findStructured } from './structured/find-structured.js';

type Place = Omit<PersonalSpan, 'type'>;

const byStart = (one: Place, other: Place): number => one.start - other.start || other.end - one.end;

/**
 * Everything in a text that tells who somebody is, in order of place; spans may overlap. Linear in the length of the text.
 *
 * @returns spans in UTF-16 offsets of the text as given, of all kinds, also those that redaction leaves standing
 */
export function findPersonal(text: string): PersonalSpan[] {
  const view = plainView(text);
  const held = view.text.includes('[') ? [...view.text.matchAll(placeholderPattern)].map(placeOf) : [];
  const taken = [...findStructured(view.text), ...findAddresses(view.text)]
    .filter((span) => !isWithin(span, held))
    .sort(byStart);
  const tokens = wordTokens(view.text, [...taken, ...held].sort(byStart));
  const found = [
    ...taken,
    ...findNames(view.text, tokens),
    ...findLocations(view.text, tokens),
    ...findQuasiIdentifiers(view.text),
  ];
  return found.map((span) => inGivenText(span, view)).sort(byStart);
}

const placeOf = (match: RegExpExecArray): Place => ({
  start: match.index,
  end: match.index + match[0].length,
});

/** @param places in order, apart from each other: the last that begins no later is the only one that can hold the span */
function isWithin(span: PersonalSpan, places: readonly Place[]): boolean {
  const at = lastFrom(places, span.start);
  return at >= 0 && span.end <= places[at]!.end;
}

function lastFrom(places: readonly Place[], start: number): number {
  let [low, high] = [0, places.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (places[middle]!.start <= start) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

/** The gate's word on what `findPersonal` found. */
export function checkPrivacy(spans: readonly PersonalSpan[]): GateResult {
  const gravest = spans.reduce<PersonalType | undefined>(
    (worst, { type }) =>
      worst === undefined || personalKinds[type].severity > personalKinds[worst].severity ? type : worst,
    undefined,
  );
  if (gravest === undefined) return nothingFound('privacy');
  const severity: Severity = personalKinds[gravest].severity;
  return {
    ...nothingFound('privacy'),
    flagged: spans.some(({ type }) => personalKinds[type].isRedacted),
    score: severity / 6,
    severity,
    category: gravest,
    rules: [...new Set(spans.map(({ type }) => `privacy.${type}`))].sort(),
    spans,
  };
}
