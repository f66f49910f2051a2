import type { ReadText } from '../lexicon/lexicon.js';
import { isDenied } from '../lexicon/surroundings.js';
import type { ContextId } from './phrases/contexts.js';

/** Which contexts a text has, and in which sentences. */
export class CrisisContext {
  private readonly sentences = new Map<string, Set<number>>();

  constructor(read: ReadText) {
    for (const hit of read.hits) {
      if (!hit.entry.id.startsWith('context.')) continue;
      // "I have not got better": what is denied is no context.
      if (hit.entry.id === 'context.resolved' && isDenied(read.words, hit)) continue;
      const known = this.sentences.get(hit.entry.id);
      if (known === undefined) this.sentences.set(hit.entry.id, new Set([hit.sentence]));
      else known.add(hit.sentence);
    }
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
