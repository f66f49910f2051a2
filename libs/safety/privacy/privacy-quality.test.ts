import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { personalKinds, type PersonalSpan } from './personal-kinds.js';
import { findPersonal } from './privacy-gate.js';

/** Development data that is not part of the repository; the fifth by template that nothing was tuned on. */
const folder = new URL('../../../../shared/data/safety/', import.meta.url);
const isThere = existsSync(new URL('presidio_synth/train.jsonl', folder));
const say = (line: string): boolean => process.stdout.write(`${line}\n`);
if (!isThere) say('SKIPPED: the quality of the privacy gate is not measured, ../shared/data/safety is not there');

interface Labelled {
  readonly text: string;
  readonly template_id: number;
  readonly label: readonly { readonly type: string; readonly start: number; readonly end: number }[];
}

const groups: Readonly<Record<string, string>> = {
  PERSON: 'names',
  STREET_ADDRESS: 'addresses',
  ...Object.fromEntries(
    [
      'CREDIT_CARD',
      'PHONE_NUMBER',
      'EMAIL_ADDRESS',
      'US_SSN',
      'IBAN_CODE',
      'IP_ADDRESS',
      'US_DRIVER_LICENSE',
      'DOMAIN_NAME',
    ].map((type) => [type, 'structured']),
  ),
};

function rowsOf<Row>(file: string): Row[] {
  const lines = readFileSync(new URL(file, folder), 'utf8').trim().split('\n');
  return lines.map((line) => JSON.parse(line) as Row);
}

const isHeldBack = ({ template_id: template }: Labelled): boolean =>
  createHash('sha256').update(`template ${template}`).digest()[0]! % 5 === 0;
const redactedSpans = (text: string): PersonalSpan[] =>
  findPersonal(text).filter(({ type }) => personalKinds[type].isRedacted);

/** Every letter and digit of the label is covered. */
function isCovered(text: string, { start, end }: Labelled['label'][number], spans: readonly PersonalSpan[]): boolean {
  for (let at = start; at < end; at += 1) {
    if (/[\p{L}\p{N}]/u.test(text[at]!) && !spans.some((span) => span.start <= at && at < span.end)) return false;
  }
  return true;
}

it.runIf(isThere)('takes out what it must on templates that nothing was tuned on', () => {
  const counts: Record<string, { whole: number; all: number }> = {};
  for (const row of rowsOf<Labelled>('presidio_synth/train.jsonl').filter(isHeldBack)) {
    const spans = redactedSpans(row.text);
    for (const label of row.label) {
      const group = groups[label.type];
      if (group === undefined) continue;
      const count = (counts[group] ??= { whole: 0, all: 0 });
      count.all += 1;
      if (isCovered(row.text, label, spans)) count.whole += 1;
    }
  }
  const share = (group: string): number => counts[group]!.whole / counts[group]!.all;
  for (const [group, { whole, all }] of Object.entries(counts))
    say(`${group}: ${whole} of ${all} whole, ${share(group).toFixed(3)}`);
  expect(share('structured')).toBeGreaterThanOrEqual(0.99);
  expect(share('names')).toBeGreaterThanOrEqual(0.85);
  expect(share('addresses')).toBeGreaterThanOrEqual(0.75);
});

it.runIf(isThere)('alters at most one in a hundred sentences of what people ask a counsellor', () => {
  const segmenter = new Intl.Segmenter('en', { granularity: 'sentence' });
  const questions = new Set(rowsOf<{ text: string }>('counsel_chat/questions.jsonl').map(({ text }) => text));
  let all = 0;
  let altered = 0;
  for (const text of questions) {
    const spans = redactedSpans(text);
    for (const { index, segment } of segmenter.segment(text)) {
      all += 1;
      if (spans.some(({ start, end }) => start < index + segment.length && end > index)) altered += 1;
    }
  }
  say(`sentences of questions altered: ${altered} of ${all}, ${(altered / all).toFixed(4)}`);
  expect(altered / all).toBeLessThanOrEqual(0.01);
});
