import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
// @ts-expect-error: a plain script of the set-up, without types
import { errorsPage } from '../../deploy/boot/errors-page.mjs';
import { errorTable } from './error-table.js';
import { sluiceError } from './sluice-error.js';

it('is the same table as the page docs/reference/errors.md, both ways', () => {
  const page = readFileSync(new URL('../../docs/reference/errors.md', import.meta.url), 'utf8');
  expect(page, 'run `npm run docs`').toBe((errorsPage as (table: typeof errorTable) => string)(errorTable));
});

it('fills the places of a text with the public detail and keeps the cause private', () => {
  const error = sluiceError(
    'SLU_MODEL_VERSION_UNKNOWN',
    { model: 'tone', version: '9' },
    { cause: new Error('secret') },
  );
  expect(error.message).toBe('there is no version 9 of model tone');
  expect(error.status).toBe(404);
  expect(JSON.stringify(error)).not.toContain('secret');
});

it('names every code by room and by what went wrong', () => {
  for (const [code, { status }] of Object.entries(errorTable)) {
    expect(code).toMatch(/^SLU_[A-Z]+(_[A-Z]+)+$|^SLU_INTERNAL$/);
    expect(status).toBeGreaterThanOrEqual(400);
  }
});
