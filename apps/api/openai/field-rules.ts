import { sluiceError, type SluiceError } from '#libs/kernel';

/** Checks one value; `field` is its name as the caller wrote it. @throws SLU_INFERENCE_INPUT */
export type Rule = (value: unknown, field: string) => void;
export type Rules = Readonly<Record<string, Rule>>;

export type JsonObject = Record<string, unknown>;

export const refusal = (field: string, problem: string): SluiceError =>
  sluiceError('SLU_INFERENCE_INPUT', { field, problem });

export const isObject = (value: unknown): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

export const flag: Rule = (value, field) => {
  if (typeof value !== 'boolean') throw refusal(field, 'must be true or false');
};

export const number =
  (least: number, most: number): Rule =>
  (value, field) => {
    if (typeof value !== 'number' || !(value >= least && value <= most))
      throw refusal(field, `must be a number from ${least} to ${most}`);
  };

export const whole =
  (least: number, most = Number.MAX_SAFE_INTEGER): Rule =>
  (value, field) => {
    if (Number.isInteger(value) && (value as number) >= least && (value as number) <= most) return;
    const range = most === Number.MAX_SAFE_INTEGER ? `of at least ${least}` : `from ${least} to ${most}`;
    throw refusal(field, `must be a whole number ${range}`);
  };

export const text =
  (mostLength = Number.MAX_SAFE_INTEGER): Rule =>
  (value, field) => {
    if (typeof value !== 'string') throw refusal(field, 'must be a text');
    if (value.length > mostLength) throw refusal(field, `has more than ${mostLength} characters`);
  };

export const oneOf =
  (...choices: readonly string[]): Rule =>
  (value, field) => {
    if (!choices.includes(value as string)) throw refusal(field, `must be one of ${choices.join(', ')}`);
  };

export const object =
  (rules: Rules = {}, required: readonly string[] = []): Rule =>
  (value, field) => {
    if (!isObject(value)) throw refusal(field, 'must be an object');
    for (const name of required) {
      if (value[name] === undefined) throw refusal(`${field}.${name}`, 'is missing');
    }
    checkMembers(value, rules, `${field}.`);
  };

export const list =
  (each: Rule, least: number, most: number): Rule =>
  (value, field) => {
    if (!Array.isArray(value)) throw refusal(field, 'must be an array');
    if (value.length < least || value.length > most) {
      const wanted =
        least === 0
          ? `at most ${most}`
          : most === Number.MAX_SAFE_INTEGER
            ? `at least ${least}`
            : `${least} to ${most}`;
      throw refusal(field, `has ${value.length} entries; send ${wanted}`);
    }
    for (let at = 0; at < value.length; at += 1) each(value[at], `${field}[${at}]`);
  };

/** Up to 16 pairs of texts, as the protocol has it for `metadata`. */
export const pairs: Rule = (value, field) => {
  if (!isObject(value)) throw refusal(field, 'must be an object');
  const entries = Object.entries(value);
  if (entries.length > 16) throw refusal(field, `has ${entries.length} pairs; send at most 16`);
  for (const [name, each] of entries) {
    if (name.length > 64) throw refusal(field, 'has a name of more than 64 characters');
    text(512)(each, `${field}.${name}`);
  }
};

/** A value that is null counts as left out, and a name without a rule is for the model server to judge. */
export function checkMembers(value: JsonObject, rules: Rules, prefix = ''): void {
  for (const name of Object.keys(value)) {
    if (!Object.hasOwn(rules, name)) continue;
    const member = value[name];
    if (member !== null && member !== undefined) rules[name]!(member, `${prefix}${name}`);
  }
}
