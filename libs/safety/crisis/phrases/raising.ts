import type { CrisisPhrases } from '../crisis-phrases.js';
import { crisisNames } from './names.js';

/** These say nothing alone: they raise what stands beside them. */
export const raising: readonly CrisisPhrases[] = [
  {
    id: 'crisis.means',
    kind: 'means',
    severity: 3,
    score: 0,
    phrases: [
      crisisNames['pills']!,
      '(gun|rope|noose|bridge|razor|blade|knife|train tracks|overdose|cliff|rooftop|belt|exhaust)',
    ],
  },
  {
    id: 'crisis.intent',
    kind: 'intent',
    severity: 4,
    score: 0,
    phrases: [
      '(going|about|ready|decided|intend|plan|planning|prepared) to',
      '(i|he|she|they) (will|shall)',
      '(made up my mind|my mind is made up|have decided|nothing will stop me|nobody can stop me)',
      'tonight',
    ],
  },
  {
    id: 'crisis.time',
    kind: 'time',
    severity: 5,
    score: 0,
    phrases: [
      '(tonight|tomorrow|this (weekend|week|afternoon|evening|morning)|on (monday|tuesday|wednesday|thursday|friday|saturday|sunday|my birthday|christmas)|next (week|month|friday|monday)|after (work|school|dinner|the funeral)|when (everyone|my parents|they) (is|are) (asleep|out|away))',
    ],
  },
];
