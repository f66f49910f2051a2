// `npm run docs`: writes the generated pages below docs/reference. A test compares them with what is committed.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { errorsPage } from './errors-page.mjs';
import { root } from './prepare.mjs';
import { errorTable } from '../../dist/libs/kernel/index.js';

const folder = join(root, 'docs', 'reference');
mkdirSync(folder, { recursive: true });
writeFileSync(join(folder, 'errors.md'), errorsPage(errorTable));
process.stdout.write('wrote docs/reference/errors.md\n');
