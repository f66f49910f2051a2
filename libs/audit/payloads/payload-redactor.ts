/** What was taken out, counted by kind. Never the values. */
export type Redactions = Record<string, number>;

/** Takes personal data out of a text before anything else sees it. The counts are added to `redactions`. */
export interface PayloadRedactor {
  redact(text: string, redactions: Redactions): string;
}

/**
 * Redacts every text of a JSON value: in lists, in objects and as names of members. Numbers that read as something to be
 * redacted go too. What is no JSON value becomes a mark.
 */
export function redactValue(value: unknown, redactor: PayloadRedactor, redactions: Redactions): unknown {
  switch (typeof value) {
    case 'string':
      return redactor.redact(value, redactions);
    case 'number':
    case 'bigint': {
      const text = String(value);
      const redacted = redactor.redact(text, redactions);
      return redacted === text && typeof value === 'number' ? value : redacted;
    }
    case 'boolean':
      return value;
    case 'object':
      return value === null ? null : redactObject(value, redactor, redactions);
    default:
      return null;
  }
}

function redactObject(value: object, redactor: PayloadRedactor, redactions: Redactions): unknown {
  if (Array.isArray(value)) return value.map((each) => redactValue(each, redactor, redactions));
  return Object.fromEntries(
    Object.entries(value).map(([name, each]) => [
      redactor.redact(name, redactions),
      redactValue(each, redactor, redactions),
    ]),
  );
}
