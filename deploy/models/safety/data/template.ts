type Part =
  | { readonly kind: 'words'; readonly words: string }
  | { readonly kind: 'slot'; readonly name: string; readonly form: string | undefined }
  | { readonly kind: 'choice'; readonly options: readonly (readonly Part[])[] };

export interface SlotUse {
  readonly name: string;
  readonly form: string | undefined;
}

/** Chooses an index below `count`. */
export type Choose = (count: number) => number;

/**
 * Fills a template once. `[a|b|]` is a choice (which may be nested, and empty), `{who}` a slot, `{who.his}` one form of a slot.
 * Spaces that empty choices leave behind are closed up.
 * @throws Error for a bracket without its partner.
 */
export function fill(template: string, slot: (use: SlotUse) => string, choose: Choose): string {
  const write = (parts: readonly Part[]): string =>
    parts
      .map((part) => {
        if (part.kind === 'words') return part.words;
        if (part.kind === 'slot') return write(parse(slot(part)));
        return write(part.options[choose(part.options.length)]!);
      })
      .join('');
  return write(parse(template))
    .replaceAll(/[^\S\n]{2,}/g, ' ')
    .replaceAll(/ +([,.;!?](?:\s|$))/g, '$1')
    .trim();
}

/** The slots that a template uses. */
export function slotsOf(template: string): SlotUse[] {
  const walk = (parts: readonly Part[]): SlotUse[] =>
    parts.flatMap((part) => (part.kind === 'slot' ? [part] : part.kind === 'choice' ? part.options.flatMap(walk) : []));
  return walk(parse(template));
}

const parsed = new Map<string, readonly Part[]>();

function parse(template: string): readonly Part[] {
  let parts = parsed.get(template);
  if (parts === undefined) {
    const reader = { template, at: 0 };
    parts = readParts(reader, false);
    parsed.set(template, parts);
  }
  return parts;
}

interface Reader {
  readonly template: string;
  at: number;
}

function readParts(reader: Reader, inChoice: boolean): Part[] {
  const parts: Part[] = [];
  while (reader.at < reader.template.length) {
    const sign = reader.template[reader.at]!;
    if (inChoice && (sign === '|' || sign === ']')) return parts;
    if (sign === '[') parts.push(readChoice(reader));
    else if (sign === '{') parts.push(readSlot(reader));
    else if (sign === ']' || sign === '}' || sign === '|') throw new Error(`"${sign}" at ${reader.at} stands alone`);
    else {
      const words = /^[^[\]{}|]+/.exec(reader.template.slice(reader.at))![0];
      parts.push({ kind: 'words', words });
      reader.at += words.length;
    }
  }
  if (inChoice) throw new Error('"[" is never closed');
  return parts;
}

function readChoice(reader: Reader): Part {
  const options: Part[][] = [];
  do {
    reader.at += 1;
    options.push(readParts(reader, true));
  } while (reader.template[reader.at] === '|');
  reader.at += 1;
  return { kind: 'choice', options };
}

function readSlot(reader: Reader): Part {
  const slot = /^\{([a-z][a-z0-9]*)(?:\.([a-z][a-z0-9]*))?\}/i.exec(reader.template.slice(reader.at));
  if (slot === null) throw new Error(`"{" at ${reader.at} begins no slot`);
  reader.at += slot[0].length;
  return { kind: 'slot', name: slot[1]!, form: slot[2] };
}
