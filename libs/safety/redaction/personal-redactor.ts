import type { PayloadRedactor, Redactions } from '#libs/audit';
import { redactFinally } from './final-redaction.js';

/** What is kept of requests and answers is redacted by the same rules as what leaves. */
export class PersonalRedactor implements PayloadRedactor {
  redact(text: string, redactions: Redactions): string {
    const { text: redacted, spans } = redactFinally(text);
    for (const { type } of spans) redactions[type] = (redactions[type] ?? 0) + 1;
    return redacted;
  }
}
