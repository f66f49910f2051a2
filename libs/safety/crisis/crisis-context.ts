import type { ReadText } from '../lexicon/lexicon.js';
import { isDenied } from '../lexicon/surroundings.js';
import type { CrisisKind, CrisisPhrases } from './crisis-phrases.js';
import type { ContextId } from './phrases/contexts.js';

const none: ReadonlySet<CrisisKind> = new Set();

/** Which contexts a text has, and in which sentences. */
export class CrisisContext {
  private readonly sentences = new Map<string, Set<number>>();

  private readonly kinds = new Map<number, Set<CrisisKind>>();
  /** How many phrases of the gate the text has. */
  readonly phraseCount: number;

  constructor(read: ReadText, phrases: ReadonlyMap<number, CrisisPhrases>) {
    let count = 0;
    for (const hit of read.hits) {
      const kind = phrases.get(hit.entry.group)?.kind;
      if (kind !== undefined) {
        count += 1;
        const known = this.kinds.get(hit.sentence);
        if (known === undefined) this.kinds.set(hit.sentence, new Set([kind]));
        else known.add(kind);
      }
      if (!hit.entry.id.startsWith('context.')) continue;
      // "I have not got better": what is denied is no context.
      if (hit.entry.id === 'context.resolved' && isDenied(read.words, hit)) continue;
      const known = this.sentences.get(hit.entry.id);
      if (known === undefined) this.sentences.set(hit.entry.id, new Set([hit.sentence]));
      else known.add(hit.sentence);
    }
    this.phraseCount = count;
  }

  /** What else is said in a sentence. */
  kindsIn(sentence: number): ReadonlySet<CrisisKind> {
    return this.kinds.get(sentence) ?? none;
  }

  in(id: ContextId, sentence: number): boolean {
    return this.sentences.get(id)?.has(sentence) === true;
  }

  /** In the sentence itself, the one before or the one behind. */
  near(id: ContextId, sentence: number): boolean {
    const known = this.sentences.get(id);
    return known !== undefined && (known.has(sentence) || known.has(sentence - 1) || known.has(sentence + 1));
  }

  anywhere(id: ContextId): boolean {
    return this.sentences.has(id);
  }
}
