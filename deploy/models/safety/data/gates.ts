/** What the seeds of one gate may and must say. `fields` are the texts of a row; `needs` are members that each family must have. */
export interface GateForm {
  readonly fields: readonly string[];
  readonly categories: readonly string[];
  readonly needs: readonly ('category' | 'severity' | 'subject' | 'tense')[];
  /** Whether the files hold contexts and replies (`pairs.ts`). */
  readonly pairs?: boolean;
  /** A split of its own: of 20,000 tries one under which every function has families on both sides, a fifth of them for validation. */
  readonly splitSalt?: number;
}

/** The gates with development data, by the name of their folder. */
export const gateForms: Readonly<Record<string, GateForm>> = {
  crisis: {
    fields: ['text'],
    categories: ['suicide', 'self-harm', 'harm-to-others', 'abuse', 'acute-danger', 'none'],
    needs: ['category', 'severity', 'subject', 'tense'],
  },
  toxicity: {
    fields: ['text'],
    categories: [
      'hate',
      'harassment',
      'threat',
      'sexual',
      'sexual/minors',
      'violence',
      'illicit',
      'profanity',
      'severe',
      'none',
    ],
    needs: ['category'],
    splitSalt: 7954,
  },
  appropriateness: {
    fields: ['context', 'reply'],
    categories: [
      'risk-ignored',
      'means-information',
      'stigma',
      'collusion',
      'diagnosis-dosing',
      'false-human',
      'boundary',
      'minimising',
      'pushing',
      'hostile',
      'encouragement',
      'none',
    ],
    needs: ['category'],
    splitSalt: 1382,
    pairs: true,
  },
  bias: {
    fields: ['text'],
    categories: [
      'race',
      'ethnicity',
      'nationality',
      'religion',
      'gender',
      'orientation',
      'age',
      'disability',
      'class',
      'appearance',
      'none',
    ],
    needs: ['category'],
    splitSalt: 1320,
  },
};
