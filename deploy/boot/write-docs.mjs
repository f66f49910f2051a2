// `npm run docs`: writes the generated pages below docs/reference. Tests compare them with what is committed.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { errorsPage } from './errors-page.mjs';
import { permissionsPage } from './permissions-page.mjs';
import { root } from './prepare.mjs';
import { documentAlone } from '../../dist/apps/api/reference/document-alone.js';
import { permitTable, roles } from '../../dist/libs/access/index.js';
import { errorTable } from '../../dist/libs/kernel/index.js';

const folder = join(root, 'docs', 'reference');
const pages = {
  'errors.md': errorsPage(errorTable),
  'permissions.md': permissionsPage(await documentAlone(), permitTable, roles),
};
mkdirSync(folder, { recursive: true });
for (const [name, text] of Object.entries(pages)) {
  writeFileSync(join(folder, name), text);
  process.stdout.write(`wrote docs/reference/${name}\n`);
}
