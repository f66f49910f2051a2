import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { z } from 'zod';

const lists = JSON.parse(readFileSync(join(import.meta.dirname, 'fillers.json'), 'utf8')) as Partial<
  Record<string, unknown[]>
>;

/** In place of the name of a list in `fillers.json`, its fillers, which many families share; anything else as it is. */
export function namedFillers(slot: unknown, context: z.RefinementCtx): unknown {
  if (typeof slot !== 'string') return slot;
  const found = lists[slot];
  if (found === undefined) context.addIssue({ code: 'custom', message: `no list "${slot}" in fillers.json` });
  return found ?? [slot];
}
