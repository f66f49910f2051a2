import { namePattern } from '#libs/kernel';
import { z } from 'zod';
import { addressProblem, canonicalAddress } from '../remote/remote-address.js';

/** How many replicas a version gets when nobody says otherwise, and what each may take. */
export const instancesSchema = z.strictObject({
  count: z.int().min(1).max(64).optional(),
  /** Threads that one run may use; the machine's share when left out. */
  threads: z.int().min(1).max(256).optional(),
  /** A replica whose resident memory passes this is replaced in order: first the new one, then the old one goes. */
  memoryLimitBytes: z
    .int()
    .min(64 * 1_024 ** 2)
    .optional(),
});

/** What ONNX Runtime is told. Providers are tried in order; CPU is always the last. */
export const onnxSettingsSchema = z.strictObject({
  graphOptimization: z.enum(['disabled', 'basic', 'extended', 'all']).optional(),
  executionProviders: z
    .array(z.enum(['cuda', 'tensorrt', 'openvino', 'cpu']))
    .min(1)
    .max(4)
    .optional(),
  interOpThreads: z.int().min(1).max(256).optional(),
});

/** Rows of a batch when the manifest says nothing. */
export const defaultMaxBatchRows = 64;

/**
 * Dynamic batching. Without a delay a batch leaves as soon as a replica is free. With one, a batch that has none of the
 * preferred sizes waits for more rows, at most so long after its first request came.
 */
export const batchingSchema = z
  .strictObject({
    maxBatchRows: z.int().min(1).max(4_096).optional(),
    preferredRows: z.array(z.int().min(1).max(4_096)).min(1).max(16).optional(),
    maxDelayMs: z.number().min(0).max(10_000).optional(),
  })
  .refine(
    ({ maxBatchRows = defaultMaxBatchRows, preferredRows = [] }) => preferredRows.every((rows) => rows <= maxBatchRows),
    {
      path: ['preferredRows'],
      message: `has a size above maxBatchRows (${defaultMaxBatchRows} when it is left out), which no batch can reach`,
    },
  );

/** Priority 1 is the most urgent; 0, or none, means `defaultPriority`. As in Triton's `dynamic_batching`. */
export const queueSchema = z
  .strictObject({
    maxRequests: z.int().min(1).max(100_000).optional(),
    priorityLevels: z.int().min(1).max(100).optional(),
    defaultPriority: z.int().min(1).max(100).optional(),
    /** For requests that state no timeout of their own. */
    defaultTimeoutMs: z.int().min(1).max(3_600_000).optional(),
  })
  .refine(({ priorityLevels = 1, defaultPriority = 1 }) => defaultPriority <= priorityLevels, {
    path: ['defaultPriority'],
    message: 'is above priorityLevels (1 when it is left out)',
  });

/** Equal inputs of one key to one version get the stored answer. Off unless it stands here. */
export const responseCacheSchema = z.strictObject({
  maxBytes: z
    .int()
    .min(1_024)
    .max(1_024 ** 3)
    .optional(),
  ttlSeconds: z.int().min(1).max(86_400).optional(),
});

/** An embedded language model (GGUF). */
export const languageSchema = z.strictObject({
  /** Tokens of context that one sequence has, prompt and answer together. */
  contextTokens: z.int().min(64).max(1_048_576).optional(),
  /** Sequences generated at the same time. */
  sequences: z.int().min(1).max(64).optional(),
  /** Most tokens of one answer when the request names no limit. */
  defaultMaxTokens: z.int().min(1).max(1_048_576).optional(),
});

/** What makes a request one: never another's to set. */
const ownHeaders: ReadonlySet<string> = new Set([
  'connection',
  'content-encoding',
  'content-length',
  'content-type',
  'expect',
  'host',
  'inference-header-content-length',
  'keep-alive',
  'te',
  'traceparent',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

export const headerName = z
  .string()
  .regex(/^[a-z0-9-]{1,64}$/, 'must be a lower-case header name')
  .refine((name) => !ownHeaders.has(name), 'is set by Sluice itself');

/** Printable ASCII without blanks around it: what every HTTP server reads the same. */
export const headerValue = z
  .string()
  .max(4_096)
  .regex(/^[!-~]([ -~\t]*[!-~])?$/, 'must be printable ASCII, without blanks around it');

const remoteTarget = z.strictObject({
  /** `http(s)://host:port`, with a path in front where the server has one. */
  url: z
    .string()
    .max(2_048)
    .superRefine((url, ctx) => {
      const problem = addressProblem(url);
      if (problem !== undefined) ctx.addIssue({ code: 'custom', message: problem });
    }),
  /** The model's name there, when it differs. */
  model: z.string().min(1).max(256).optional(),
  version: z.string().min(1).max(64).optional(),
});

/** A model that runs on other servers. Each target is one replica. */
export const remoteSchema = z.strictObject({
  protocol: z.enum(['oip', 'tf-serving', 'openai']),
  targets: z
    .array(remoteTarget)
    .min(1)
    .max(64)
    .superRefine((targets, ctx) => {
      const seen = new Set<string>();
      for (const [index, { url }] of targets.entries()) {
        if (addressProblem(url) !== undefined) continue;
        const address = canonicalAddress(url);
        const message = 'is named twice: raise maxConcurrency for more calls to one server';
        if (seen.has(address)) ctx.addIssue({ code: 'custom', path: [index, 'url'], message });
        seen.add(address);
      }
    }),
  /** Only with `tf-serving`. */
  tfServing: z
    .strictObject({
      /** `columns` sends each input whole, `rows` each row with its inputs, as KServe's V1 protocol wants it. */
      form: z.enum(['columns', 'rows']).optional(),
      /** The server takes `serving_default` when left out. */
      signature: z.string().min(1).max(256).optional(),
    })
    .optional(),
  /** Sent with each request, as they stand. */
  headers: z.record(headerName, headerValue).optional(),
  /** Names of headers whose values are kept sealed, apart from the manifest. */
  secretHeaders: z.array(headerName).max(16).optional(),
  timeoutMs: z.int().min(1).max(3_600_000).optional(),
  connectTimeoutMs: z.int().min(1).max(60_000).optional(),
  maxConcurrency: z.int().min(1).max(4_096).optional(),
  probe: z
    .strictObject({
      path: z.string().startsWith('/').max(512).optional(),
      everyMs: z.int().min(100).max(600_000).optional(),
      timeoutMs: z.int().min(10).max(60_000).optional(),
    })
    .optional(),
  breaker: z
    .strictObject({
      /** Share of failed calls in the window that opens it, when there were at least `minCalls`. */
      failureRatio: z.number().gt(0).max(1).optional(),
      minCalls: z.int().min(1).max(10_000).optional(),
      windowMs: z.int().min(100).max(600_000).optional(),
      openMs: z.int().min(10).max(600_000).optional(),
    })
    .optional(),
  /** Retries may be at most this share of the calls of the last ten seconds. */
  retryBudgetRatio: z.number().min(0).max(1).optional(),
});

/** One statement that a key's holder made about the artifact. */
export const signatureSchema = z.discriminatedUnion('algorithm', [
  z.strictObject({
    algorithm: z.literal('ed25519'),
    keyId: z.string().regex(namePattern, 'must be lower-case letters, digits, - and _'),
    /** Base64 of the signature over the content digest. */
    value: z.string().max(256),
  }),
  /** A Sigstore bundle (JSON, as `cosign sign-blob --bundle` writes it) that lies beside the manifest. */
  z.strictObject({ algorithm: z.literal('sigstore'), bundlePath: z.string().min(1).max(512) }),
]);
