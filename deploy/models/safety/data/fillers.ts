import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { z } from 'zod';

type Forms = Record<string, string>;

const lists: Readonly<Record<string, Forms[] | undefined>> = JSON.parse(
  readFileSync(join(import.meta.dirname, 'fillers.json'), 'utf8'),
) as Record<string, Forms[]>;

/** The fillers that many families share, by the name of their list in `fillers.json`; an unknown name is a fault of the seed file. */
export function namedFillers(list: string, context: z.RefinementCtx): Forms[] {
  const found = lists[list];
  if (found !== undefined) return found;
  context.addIssue({ code: 'custom', message: `no list "${list}" in fillers.json` });
  return [];
}
