/**
 * The closed table of errors. `status` is the HTTP status, `text` the public sentence; `{field}` places are filled from
 * the public detail given at the throw. Private detail goes to the log by `cause`. `docs/reference/errors.md` holds the
 * same table, and a test holds the two together.
 */
export const errorTable = {
  SLU_REQUEST_MALFORMED: { status: 400, text: '{what}' },
  SLU_REQUEST_INVALID: { status: 422, text: '{field}: {problem}' },
  SLU_REQUEST_TOO_LARGE: { status: 413, text: 'the body is larger than the limit of {limitBytes} bytes' },
  SLU_REQUEST_TIMEOUT: { status: 408, text: 'the body did not arrive within {seconds} seconds' },
  SLU_REQUEST_HEADERS_TOO_LARGE: {
    status: 431,
    text: 'the headers with the address are larger than the limit of {limitBytes} bytes',
  },
  SLU_REQUEST_HEADERS_TIMEOUT: { status: 408, text: 'the request did not arrive in time' },
  SLU_REQUEST_MEDIA_TYPE: { status: 415, text: 'content type {given} is not accepted here; send {wanted}' },
  SLU_REQUEST_ABANDONED: { status: 499, text: 'the caller went away before the answer' },
  SLU_REQUEST_NOT_FOUND: { status: 404, text: 'there is nothing at {path}' },
  SLU_REQUEST_METHOD: { status: 405, text: '{path} does not answer {method}' },
  SLU_REQUEST_UNIMPLEMENTED: { status: 501, text: '{what}' },
  SLU_REQUEST_IDEMPOTENCY_KEY: { status: 400, text: 'Idempotency-Key: {problem}' },
  SLU_REQUEST_IDEMPOTENCY_OTHER: {
    status: 422,
    text: 'Idempotency-Key: it was used for another request (method, path or body); take a new key for a new request',
  },
  SLU_REQUEST_IDEMPOTENCY_RUNNING: {
    status: 409,
    text: 'Idempotency-Key: the first request with it is still being answered; try again in {retryAfterSeconds} s',
  },
  SLU_REQUEST_IDEMPOTENCY_LOST: {
    status: 409,
    text: 'Idempotency-Key: the first request with it made its change, but its answer is lost; look at what is there, and take a new key for a new change',
  },
  SLU_INTERNAL: { status: 500, text: 'something went wrong on our side; the request id leads to the log' },

  SLU_ACCESS_KEY_MISSING: { status: 401, text: 'send an API key: Authorization: Bearer <key>' },
  SLU_ACCESS_KEY_INVALID: { status: 401, text: 'the API key is not valid' },
  SLU_ACCESS_KEY_IN_QUERY: {
    status: 400,
    text: 'never put a key into the query string; send it in the Authorization header',
  },
  SLU_ACCESS_LIMIT_REACHED: {
    status: 429,
    text: 'the limit {limit} of this {scope} ({allowed}) is used up; it frees in {retryAfterSeconds} s',
  },
  SLU_ACCESS_LIMIT_NEVER: {
    status: 400,
    text: 'the request asks for up to {asked}, and the limit {limit} of this {scope} is {allowed}; ask for less, with max_tokens for example',
  },
  SLU_ACCESS_LIMITS_DOWN: {
    status: 503,
    text: 'limits cannot be counted now, and nobody is let in without; try again in {retryAfterSeconds} s',
  },
  SLU_ACCESS_LIMITS_STALE: { status: 409, text: 'the limits of {subject} are at revision {revision} by now' },
  SLU_ACCESS_LIMITS_UNKNOWN: { status: 404, text: 'no limits are set for {scope} {subject}' },
  SLU_ACCESS_LIMIT_SUBJECT: { status: 404, text: 'there is no {scope} {subject}' },
  SLU_ACCESS_TIER_UNKNOWN: { status: 404, text: 'there is no tier {tier}' },
  SLU_ACCESS_TIER_MISSING: { status: 403, text: 'this key has the tier {tier}, which does not exist' },
  SLU_ACCESS_FORBIDDEN: { status: 403, text: 'this key may not {action}' },
  SLU_ACCESS_NETWORK: { status: 403, text: 'this key is not allowed from this network' },
  SLU_ACCESS_KEY_UNKNOWN: { status: 404, text: 'there is no API key {id}' },
  SLU_ACCESS_KEY_ENDED: { status: 409, text: 'API key {id} is {state}' },
  SLU_ACCESS_OWNER_UNKNOWN: { status: 404, text: 'there is no {kind} {id}' },
  SLU_ACCESS_OWNER_CONFLICT: { status: 409, text: 'there is a {kind} with {field} {value} already' },
  SLU_ACCESS_TOKEN_INVALID: { status: 401, text: 'the token is not valid: {problem}' },
  SLU_ACCESS_ISSUER_DOWN: { status: 503, text: 'the keys of the token issuer cannot be read at the moment' },

  SLU_AUDIT_HOLD_UNKNOWN: { status: 404, text: 'there is no legal hold {id} in force' },

  SLU_ARTIFACT_UNREADABLE: { status: 400, text: 'the artifact cannot be read: {problem}' },
  SLU_ARTIFACT_REFUSED: { status: 422, text: 'the artifact is refused: {problem}' },
  SLU_ARTIFACT_TOO_LARGE: { status: 413, text: 'the artifact is larger than allowed: {problem}' },
  SLU_ARTIFACT_FOLDER_CLOSED: { status: 403, text: 'registering from a folder is not allowed here: {problem}' },
  SLU_ARTIFACT_STORE_FULL: { status: 507, text: 'the artifact store has no room left' },
  SLU_ARTIFACT_SOURCE_CLOSED: { status: 403, text: 'fetching from there is not allowed here: {problem}' },
  SLU_ARTIFACT_SOURCE_FAILED: { status: 424, text: 'the artifact cannot be fetched: {problem}' },
  SLU_SIGNATURE_INVALID: { status: 422, text: 'the signature is refused: {problem}' },
  SLU_SIGNATURE_KEY_INVALID: { status: 422, text: 'publicKeyPem: {problem}' },
  SLU_SIGNATURE_KEY_UNKNOWN: { status: 404, text: 'there is no signing key {id}' },
  SLU_SIGNATURE_KEY_CONFLICT: { status: 409, text: 'signing key {id} exists already with another public key' },
  SLU_SIGNATURE_KEY_ENDED: { status: 409, text: 'signing key {id} is {state}' },
  SLU_MODEL_CONFLICT: { status: 409, text: 'model {model} version {version} is already registered with other content' },
  SLU_MODEL_UNKNOWN: { status: 404, text: 'there is no model {model}' },
  SLU_MODEL_VERSION_UNKNOWN: { status: 404, text: 'there is no version {version} of model {model}' },
  SLU_MODEL_VERSION_IN_USE: { status: 409, text: 'version {version} of model {model} is in use: {usedBy}' },
  SLU_MODEL_VERSION_ARCHIVED: { status: 409, text: 'version {version} of model {model} is archived' },
  SLU_MODEL_SECRET_HEADERS: { status: 422, text: '{field}: {problem}' },
  SLU_ENDPOINT_CONFLICT: { status: 409, text: 'endpoint {endpoint} exists already' },
  SLU_ENDPOINT_UNKNOWN: { status: 404, text: 'there is no endpoint {endpoint}' },
  SLU_ENDPOINT_HELD: { status: 409, text: 'endpoint {endpoint} is held by rollout {rolloutId}' },
  SLU_POLICY_SIGNATURE: { status: 409, text: 'endpoint {endpoint} refuses version {version}: {problem}' },
  SLU_POLICY_EVALUATION: {
    status: 409,
    text: 'endpoint {endpoint} refuses version {version}: metric {metric}: wanted {wanted}, got {got}',
  },
  SLU_POLICY_STALE: { status: 409, text: 'the policy of endpoint {endpoint} is at revision {revision} by now' },
  SLU_POLICY_UNKNOWN: { status: 404, text: 'endpoint {endpoint} has no policy' },
  SLU_ROUTE_UNKNOWN: { status: 404, text: 'endpoint {endpoint} has no route revision {revision}' },
  SLU_ROUTE_INVALID: { status: 422, text: '{field}: {problem}' },
  SLU_ROUTE_STALE: { status: 409, text: 'a newer decision has replaced this one; nothing was changed' },

  SLU_INFERENCE_INPUT: { status: 400, text: '{field}: {problem}' },
  SLU_INFERENCE_MODEL_FAILED: { status: 500, text: 'the model failed on this input: {problem}' },
  SLU_INFERENCE_OUTPUT: { status: 500, text: 'the model gave an answer that cannot be sent: {problem}' },
  SLU_INFERENCE_NOT_READY: { status: 503, text: 'endpoint {endpoint} has no ready replica of version {version}' },
  SLU_INFERENCE_QUEUE_FULL: {
    status: 503,
    text: 'too many requests are waiting for {endpoint}; try again in {retryAfterSeconds} s',
  },
  SLU_INFERENCE_OVERUSE: {
    status: 429,
    text: 'too many of your requests are waiting for {endpoint}; try again in {retryAfterSeconds} s',
  },
  SLU_INFERENCE_QUARANTINED: {
    status: 422,
    text: 'this input has killed the model server twice and is refused until {until}; an operator can lift that: /api/quarantine, digest {digest}',
  },
  SLU_INFERENCE_TIMEOUT: { status: 504, text: 'the model did not answer within {seconds} s' },
  SLU_INFERENCE_DRAINING: { status: 503, text: 'this server is shutting down; try again' },
  SLU_INFERENCE_TASK: { status: 404, text: 'endpoint {endpoint} does not answer {path}: {reason}' },
  SLU_INFERENCE_PROMPT_TOO_LONG: { status: 400, text: '{field}: {problem}' },
  SLU_INFERENCE_REFUSED: { status: 400, text: '{problem}' },
  SLU_INFERENCE_BUSY: {
    status: 429,
    text: 'the model servers of {endpoint} take no more requests now; try again in {retryAfterSeconds} s',
  },
  SLU_INFERENCE_UPSTREAM: {
    status: 502,
    text: 'the model server of {endpoint} does not answer as it should: {problem}',
  },
  SLU_INFERENCE_CUT_OFF: {
    status: 502,
    text: 'the model server of {endpoint} ended in the middle of its answer; what came is not the whole answer',
  },
  SLU_INFERENCE_REPLICA_LOST: { status: 502, text: 'the replica died twice while answering; try again' },

  SLU_BUDGET_EXHAUSTED: {
    status: 429,
    text: 'budget {budget} has {left} left of {limit}, and this request may cost up to {worst}: {hint}',
  },
  SLU_BUDGET_UNAVAILABLE: { status: 503, text: 'budget {budget} cannot be checked now; try again' },
  SLU_BUDGET_UNKNOWN: { status: 404, text: 'there is no budget {id}' },
  SLU_BUDGET_ENDED: { status: 409, text: 'budget {id} has ended' },
  SLU_PRICE_UNKNOWN: { status: 404, text: 'there is no price {id}' },
  SLU_PRICE_CONFLICT: { status: 409, text: 'there is a price for the same place from the same moment on already' },
  SLU_PRICE_IN_FORCE: { status: 409, text: 'price {id} is or was in force and stays as it is; set a new one' },
  SLU_OUTBOUND_REFUSED: { status: 422, text: 'nothing is sent to {host}: it {problem}' },
  SLU_OUTBOUND_FAILED: { status: 424, text: '{host} does not answer as it should: {problem}' },

  SLU_QUARANTINE_UNKNOWN: { status: 404, text: 'no input with digest {digest} is in quarantine' },

  SLU_PRIVACY_LOG_OPEN: {
    status: 409,
    text: 'payloads of endpoint {endpoint} are logged until {endsAt} already; end that first',
  },
  SLU_PRIVACY_LOG_CLOSED: { status: 404, text: 'payloads of endpoint {endpoint} are not logged now' },
  SLU_PRIVACY_PAYLOAD_UNKNOWN: { status: 404, text: 'there is no payload {id}' },
  SLU_PRIVACY_PAYLOAD_ERASED: { status: 410, text: 'payload {id} cannot be read any more: its key is destroyed' },
  SLU_PRIVACY_ERASURE_UNKNOWN: { status: 404, text: 'there is no erasure {id}' },
  SLU_REQUEST_RECORD_UNKNOWN: { status: 404, text: 'there is no record of request {id}' },

  SLU_REPLICA_UNKNOWN: { status: 404, text: 'there is no replica {id}' },
  SLU_REPLICA_ENDED: { status: 409, text: 'replica {id} has ended already: it is {state}' },
  SLU_REPLICA_FAILED: { status: 503, text: 'version {version} of model {model} does not start: {reason}' },

  SLU_ROLLOUT_UNKNOWN: { status: 404, text: 'there is no rollout {rolloutId}' },
  SLU_ROLLOUT_REFUSED: { status: 409, text: 'the rollout refuses {command}: {problem}' },
  SLU_ROLLOUT_INVALID: { status: 422, text: '{field}: {problem}' },
  SLU_ROLLOUT_UNANSWERED: { status: 503, text: 'the rollout did not answer in time; look at it, then try again' },

  SLU_PLATFORM_DATABASE_DOWN: { status: 503, text: 'the database is not reachable; try again' },
  SLU_PLATFORM_TEMPORAL_DOWN: {
    status: 503,
    text: 'the workflow engine is not reachable; nothing was started, try again',
  },
  SLU_PLATFORM_SETTING: { status: 500, text: 'setting {name}: {problem}' },
} as const satisfies Record<string, { status: number; text: string }>;

export type ErrorCode = keyof typeof errorTable;
