import { describe, expect, it } from 'vitest';
import { surfaceTransforms } from '../../../test/support/surface-transforms.js';
import { TextGates } from '../gates.js';
import { noRisk } from './suite/no-risk.js';
import { risk } from './suite/risk.js';

const gates = new TextGates();
const crisis = (text: string) => gates.judge(text).crisis;

describe.each(Object.entries(risk))('finds %s', (_functionality, texts) => {
  it.each(texts)('%s', (text) => {
    const found = crisis(text);
    expect(found.flagged).toBe(true);
    expect(found.severity).toBeGreaterThan(0);
    expect(found.rules.length).toBeGreaterThan(0);
    for (const { start, end } of found.spans) expect(text.slice(start, end).trim()).not.toBe('');
  });
});

describe.each(Object.entries(noRisk))('lets %s pass', (_functionality, texts) => {
  it.each(texts)('%s', (text) => expect(crisis(text)).toMatchObject({ flagged: false, severity: 0, spans: [] }));
});

const latin = Object.entries(risk).filter(([functionality]) => functionality !== 'typing errors');

describe.each(Object.entries(surfaceTransforms))('says the same of %s', (_transform, transform) => {
  it.each(latin)('%s', (_functionality, texts) => {
    expect(texts.filter((text) => !crisis(transform(text)).flagged)).toEqual([]);
  });

  it('and of what is no risk', () => {
    const texts = Object.values(noRisk).flat();
    expect(texts.filter((text) => crisis(transform(text)).flagged)).toEqual([]);
  });
});

it.each([
  ['I wish I was dead.', 1],
  ['I am thinking about killing myself.', 2],
  ['I think about hanging myself.', 3],
  ['I am going to kill myself.', 4],
  ['I am going to kill myself tonight.', 5],
  ['I tried to kill myself last night.', 6],
])('%s is level %i of the C-SSRS screener', (text, severity) => expect(crisis(text).severity).toBe(severity));

it.each([
  ['I want to kill myself.', 'self'],
  ['My friend wants to kill herself.', 'other'],
  ['My brother texted me "I want to die" an hour ago.', 'quoted'],
])('%s is about %s', (text, subject) => expect(crisis(text).subject).toBe(subject));

it.each([
  ['I tried to kill myself yesterday.', 'past'],
  ['I want to kill myself.', 'present'],
  ['I will kill myself tomorrow.', 'future'],
])('%s lies in the %s', (text, tense) => expect(crisis(text).tense).toBe(tense));

it('gives the place in the text as it was given, before any normalising', () => {
  const text = '😀 Ｉ ｗａｎｔ to k\u200bi\u200bll mуself!';
  const [span] = crisis(text).spans;
  expect(text.slice(span!.start, span!.end)).toBe('k\u200bi\u200bll mуself');
});
