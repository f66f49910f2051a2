import type { ErasedFromStore, ErasureInput, ErasurePhase } from './contract.js';

/** Where the erasure stands, in Markdown, for the Temporal UI. */
export function currentDetails(
  { erasureId, subject }: ErasureInput,
  phase: ErasurePhase,
  planned: readonly string[],
  done: readonly ErasedFromStore[],
): string {
  const erased = new Map(done.map((each) => [each.store, String(each.erased)]));
  return [
    `**${phase}**: ${done.length} of ${planned.length} stores`,
    '',
    `Erasure \`${erasureId}\` of subject \`${subject}\` (a pseudonym).`,
    '',
    '| store | erased |',
    '| --- | --- |',
    ...planned.map((store) => `| ${store} | ${erased.get(store) ?? '-'} |`),
  ].join('\n');
}
