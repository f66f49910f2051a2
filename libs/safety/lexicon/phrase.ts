/**
 * Phrases are written in a small language: words, `(a|b c)` one of them, `?` behind a word or a group for what may be missing,
 * `@name` for a named group.
 */
export type PhraseItem =
  | string
  | { readonly choices: readonly (readonly PhraseItem[])[]; readonly isOptional: boolean };

/** @throws Error naming the phrase when it is written badly */
export function parsePhrase(phrase: string, named: Readonly<Record<string, string>>): PhraseItem {
  const written = `(${withNames(phrase, named, 0)})`;
  const reader = { tokens: written.match(/[()|?]|[^\s()|?]+/g) ?? [], at: 0, phrase };
  const [item] = readSequence(reader);
  if (item === undefined || reader.at < reader.tokens.length)
    throw new Error(`the phrase "${phrase}" has a ) too many`);
  return item;
}

function withNames(phrase: string, named: Readonly<Record<string, string>>, depth: number): string {
  if (depth > 8) throw new Error(`the names in "${phrase}" lead to each other`);
  return phrase.replace(/@([a-z][a-zA-Z]*)/g, (_all, name: string) => {
    const meant = named[name];
    if (meant === undefined) throw new Error(`the phrase "${phrase}" names @${name}, which nobody wrote down`);
    return `(${withNames(meant, named, depth + 1)})`;
  });
}

interface Reader {
  readonly tokens: readonly string[];
  readonly phrase: string;
  at: number;
}

function readSequence(reader: Reader): PhraseItem[] {
  const items: PhraseItem[] = [];
  while (reader.at < reader.tokens.length) {
    const token = reader.tokens[reader.at]!;
    if (token === ')' || token === '|') break;
    reader.at += 1;
    if (token === '?') {
      const last = items.pop();
      if (last === undefined) throw new Error(`in the phrase "${reader.phrase}" a ? has nothing before it`);
      items.push({ choices: typeof last === 'string' ? [[last]] : last.choices, isOptional: true });
    } else items.push(token === '(' ? readGroup(reader) : token);
  }
  return items;
}

function readGroup(reader: Reader): PhraseItem {
  const choices = [readSequence(reader)];
  while (reader.tokens[reader.at] === '|') {
    reader.at += 1;
    choices.push(readSequence(reader));
  }
  if (reader.tokens[reader.at] !== ')') throw new Error(`in the phrase "${reader.phrase}" a ( is not closed`);
  reader.at += 1;
  return { choices, isOptional: false };
}
