/** What the seeds of one gate may and must say. `fields` are the texts of a row; `needs` are members that each family must have. */
export interface GateForm {
  readonly fields: readonly string[];
  readonly categories: readonly string[];
  readonly needs: readonly ('category' | 'severity' | 'subject' | 'tense')[];
  /** Whether the files hold contexts and replies (`pairs.ts`). */
  readonly pairs?: boolean;
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
  },
};
