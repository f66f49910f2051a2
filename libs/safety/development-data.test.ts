import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { TextGates } from './gates.js';

/** Public development texts lie outside the repository: their licences differ from its own. */
const folder = process.env['SLUICE_SAFETY_DATA'] ?? '../../shared/data/safety';
const isThere = existsSync(join(folder, 'counsel_chat'));
if (!isThere) process.stderr.write(`development texts are not in ${folder}: what hangs on them is NOT tested\n`);

const gates = new TextGates();
const rows = (file: string): { text: string; label: unknown }[] =>
  readFileSync(join(folder, file), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { text: string; label: unknown });
const share = (texts: readonly { text: string }[], isFound: (text: string) => boolean): number =>
  texts.filter(({ text }) => isFound(text)).length / texts.length;
const isCrisis = (text: string): boolean => gates.judge(text).crisis.flagged;
const isToxic = (text: string): boolean => gates.judge(text).toxicity.flagged;

it.runIf(isThere)('lets what people ask counsellors pass, but for the one in twenty that tells of danger', () => {
  expect(share(rows('counsel_chat/questions.jsonl'), isCrisis)).toBeLessThan(0.06);
  expect(share(rows('counsel_chat/answers.jsonl'), isCrisis)).toBeLessThan(0.02);
});

it.runIf(isThere)('lets everyday texts pass', () => {
  for (const file of ['stereoset/train.jsonl', 'presidio_synth/train.jsonl'])
    expect(share(rows(file), isCrisis)).toBeLessThan(0.005);
  expect(share(rows('counsel_chat/questions.jsonl'), isToxic)).toBeLessThan(0.03);
});

it.runIf(isThere)('calls hardly anything toxic that people do not', () => {
  const surge = rows('surge_toxicity/train.jsonl');
  expect(
    share(
      surge.filter(({ label }) => label === 0),
      isToxic,
    ),
  ).toBeLessThan(0.02);
  expect(
    share(
      surge.filter(({ label }) => label === 1),
      isToxic,
    ),
  ).toBeGreaterThan(0.3);
});
