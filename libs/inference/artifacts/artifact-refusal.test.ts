import { isSluiceError } from '#libs/kernel';
import { expect, it } from 'vitest';
import { orStoreFull, shownName } from './artifact-refusal.js';

it.each(['ENOSPC', 'EDQUOT', 'EFBIG'])('takes %s for a store without room, and keeps the cause for the log', (code) => {
  const cause = Object.assign(new Error('write'), { code });
  const seen = orStoreFull(cause);
  expect(isSluiceError(seen) && [seen.code, seen.cause]).toEqual(['SLU_ARTIFACT_STORE_FULL', cause]);
});

it('passes every other failure on unchanged', () => {
  const failure = Object.assign(new Error('x'), { code: 'EIO' });
  expect(orStoreFull(failure)).toBe(failure);
});

it('shows names so that what was written into them stays harmless and short', () => {
  expect(shownName('a\nb\u001b[31m"')).toBe('a\\nb\\u001b[31m\\"');
  expect(shownName('x'.repeat(1_000)).length).toBeLessThan(130);
});
