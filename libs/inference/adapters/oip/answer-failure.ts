import { ReplicaFailure } from '../../ports/replica.js';
import type { HttpAnswer } from './http-call.js';

const longestRetryAfterSeconds = 3_600;
const longestShownText = 500;
/** What these say is about the way to the model and not about the input: any other request would get them as well. */
const replicaFaults: Readonly<Record<number, string>> = {
  401: 'refuses the credentials (401)',
  403: 'refuses the credentials (403)',
  404: 'knows no such model or version (404)',
  405: 'does not answer this protocol here (405)',
  407: 'wants credentials for a proxy (407)',
};

/** What an answer that is not 200 means for the call. The text is the server's own `error`, as far as it gives one. */
export function failureOf(answer: HttpAnswer): ReplicaFailure {
  const { status } = answer;
  const text = errorTextOf(answer.body);
  const retryAfterSeconds = retryAfterOf(answer.header('retry-after'));
  // It answers and asks for patience. Without that header a 503 comes from one that is still loading, or from a proxy
  // that has nobody behind it: 502 and 503 say that the model never saw the work.
  if (status === 429 || (status === 503 && retryAfterSeconds !== undefined))
    return new ReplicaFailure('overload', text, { status, retryAfterSeconds: retryAfterSeconds ?? 1 });
  if (status === 502 || status === 503) return new ReplicaFailure('lost', text, { status });
  if (status === 504) return new ReplicaFailure('timeout', text, { status });
  if (status >= 300 && status < 400) {
    const problem = `the server answers with a redirect (${status}), which is never followed`;
    return new ReplicaFailure('model', problem, { blame: 'replica' });
  }
  const fault = replicaFaults[status];
  // What a server says to our key or our path is not for the caller. Its operator finds it in the log.
  if (fault !== undefined)
    return new ReplicaFailure('model', `the server ${fault}`, { blame: 'replica', cause: new Error(text) });
  return new ReplicaFailure('model', text, { status, blame: status >= 500 ? 'unclear' : 'input' });
}

/** @returns whole seconds from now, by either form of the header (RFC 9110, 10.2.3) */
export function retryAfterOf(header: string | undefined, nowMs = Date.now()): number | undefined {
  if (header === undefined) return undefined;
  const isSeconds = /^\s*\d{1,9}\s*$/.test(header);
  // The parser takes nearly anything for a date; a real one begins with the day of the week.
  if (!isSeconds && !/^[A-Z][a-z]+,/.test(header)) return undefined;
  const seconds = isSeconds ? Number(header) : (Date.parse(header) - nowMs) / 1_000;
  return Number.isNaN(seconds) ? undefined : Math.min(longestRetryAfterSeconds, Math.max(0, Math.ceil(seconds)));
}

function errorTextOf(body: Buffer): string {
  try {
    const { error, detail } = JSON.parse(body.toString()) as { error?: unknown; detail?: unknown };
    const text = typeof error === 'string' ? error : detailOf(detail);
    if (text !== '') return text.slice(0, longestShownText);
  } catch {
    // Not the protocol's error: say so below.
  }
  return 'the replica gave no reason';
}

/** FastAPI's own shape (MLServer, vLLM and others stand on it): one text, or a list of what is wrong and where. */
function detailOf(detail: unknown): string {
  if (typeof detail === 'string') return detail;
  if (!Array.isArray(detail)) return '';
  const problems = detail.map((each: { loc?: unknown; msg?: unknown } | null) =>
    Array.isArray(each?.loc) && typeof each.msg === 'string' ? `${each.loc.join('.')}: ${each.msg}` : '',
  );
  return problems.filter(Boolean).join('; ');
}
