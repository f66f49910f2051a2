import { chooser, fillTemplate } from './expand.ts';
import { fieldsOf, type Family, type Filler, type Item } from './seeds.ts';

/** The same sentence about each group of a list: a gate must decide them alike. */
export interface SwapSet {
  readonly id: string;
  readonly family: Family;
  readonly texts: readonly { readonly group: string; readonly fields: Readonly<Record<string, string>> }[];
}

/**
 * One set for each template that uses the slot `group`, with the same choices throughout and only the group changed.
 * The same seeds always give the same sets.
 */
export function swapSets(families: readonly Family[], seed = 'sluice'): SwapSet[] {
  return families.flatMap((family) => {
    const groups = family.slots?.['group'] ?? [];
    return (family.templates ?? []).flatMap((template, at) =>
      usesGroup(template)
        ? [
            {
              id: `${family.family}/swap-${at + 1}`,
              family,
              texts: groups.map((group) => swapped(family, at, group, seed)),
            },
          ]
        : [],
    );
  });
}

function swapped(family: Family, at: number, group: Filler, seed: string): SwapSet['texts'][number] {
  // A chooser begun anew makes the same choices for every group.
  const choose = chooser(`${seed}/${family.family}/${at}`);
  const fields = fillTemplate(family.templates![at]!, { ...family.slots, group: [group] }, choose);
  return { group: typeof group === 'string' ? group : Object.values(group)[0]!, fields };
}

function usesGroup(template: Item): boolean {
  return Object.values(fieldsOf(template)).some((text) => /\{group[.}]/.test(text));
}
