import type { GateResult, TextJudgement } from '#libs/safety';
import type { Channel } from './moderation-request.js';

/** OpenAI's categories. Source: https://platform.openai.com/docs/guides/moderation */
export const moderationCategories = [
  'harassment',
  'harassment/threatening',
  'hate',
  'hate/threatening',
  'illicit',
  'illicit/violent',
  'self-harm',
  'self-harm/intent',
  'self-harm/instructions',
  'sexual',
  'sexual/minors',
  'violence',
  'violence/graphic',
] as const;
type Category = (typeof moderationCategories)[number];

const counts = 0.5;
/** Kinds of crisis that are none of self-harm in the protocol's sense. */
const ofOthers = new Set(['harm-to-others', 'abuse', 'danger']);
const withIntent = new Set(['active', 'plan', 'preparation', 'attempt', 'coded']);

/** One result in OpenAI's shape, with what the gates found beside it. Gates that did not run are not there. */
export function moderationResult(judgement: TextJudgement, channel: Channel | undefined): object {
  const scores = scoresOf(judgement);
  const entries = <Value>(value: (score: number) => Value): Record<string, Value> =>
    Object.fromEntries(moderationCategories.map((category) => [category, value(scores.get(category) ?? 0)]));
  const { crisis, toxicity, privacy, redaction, redacted } = judgement;
  return {
    flagged: crisis.flagged || toxicity.flagged,
    categories: entries((score) => score >= counts),
    category_scores: entries((score) => score),
    category_applied_input_types: entries(() => ['text']),
    sluice: {
      gates: {
        crisis: gateOf(crisis, channel),
        toxicity: gateOf(toxicity, channel),
        privacy: gateOf(privacy, channel),
        redaction: gateOf(redaction, channel),
      },
      redacted,
    },
  };
}

function gateOf(found: GateResult, channel: Channel | undefined): object {
  const { flagged, score, severity, category, subject, tense, rules, spans, degraded } = found;
  // A simulated client speaks of nobody's life.
  const isPlayed = channel === 'simulated-client-output' && subject === 'self';
  return {
    flagged,
    score,
    severity,
    category,
    subject: isPlayed ? 'simulated' : subject,
    tense,
    rules,
    spans,
    ...(degraded && { degraded }),
  };
}

function scoresOf({ crisis, toxicity }: TextJudgement): Map<Category, number> {
  const scores = new Map<Category, number>(toxicity.categories);
  const raise = (category: Category, score: number): void => {
    scores.set(category, Math.max(score, scores.get(category) ?? 0));
  };
  const kinds = new Set(crisis.spans.map(({ type }) => type));
  const isSelfHarm = !crisis.flagged || [...kinds].some((kind) => !ofOthers.has(kind));
  if (isSelfHarm) raise('self-harm', crisis.score);
  if ([...kinds].some((kind) => withIntent.has(kind))) raise('self-harm/intent', crisis.score);
  if (kinds.has('harm-to-others')) raise('violence', crisis.score);
  raise('violence', Math.max(scores.get('harassment/threatening') ?? 0, scores.get('hate/threatening') ?? 0));
  raise('violence/graphic', toxicity.categories.get('violence') ?? 0);
  return scores;
}
