import { days, gibibytes, mebibytes, sluiceError } from '#libs/kernel';
import { z } from 'zod';
import { oidcVariables } from './oidc-config.js';
import { HostList } from './outbound/host-list.js';

const logLevels = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const;

const wholeSeconds = (byDefault: number) => z.coerce.number().int().min(1).max(days(1)).default(byDefault);

export const networksOf = (text = ''): string[] =>
  text
    .split(',')
    .map((network) => network.trim())
    .filter(Boolean);
const isNetwork = (text: string): boolean => z.union([z.cidrv4(), z.cidrv6()]).safeParse(text.trim()).success;

export const listed = (text: string): string[] => text.split(',').map((entry) => entry.trim());

const hostsSetting = z.string().refine((text) => {
  try {
    HostList.of(listed(text));
    return true;
  } catch {
    return false;
  }
}, 'must be hosts, host:port, *.domain or ranges such as 10.1.0.0/16, separated by commas');

const postgresAddress = z.string().regex(/^postgres(ql)?:\/\//, 'must start with postgres://');

const variables = z.object({
  SLUICE_HOME: z.string().min(1).default('.sluice'),
  SLUICE_HOST: z.string().min(1).default('127.0.0.1'),
  SLUICE_PORT: z.coerce.number().int().min(0).max(65_535).default(8_080),
  SLUICE_GRPC_PORT: z.coerce.number().int().min(0).max(65_535).default(8_081),
  SLUICE_TLS: z.enum(['off', 'self-signed', 'files']).optional(),
  SLUICE_TLS_CERT: z.string().optional(),
  SLUICE_TLS_KEY: z.string().optional(),
  SLUICE_CORS_ORIGINS: z
    .string()
    .regex(
      /^https?:\/\/[^\s,/*]+(\s*,\s*https?:\/\/[^\s,/*]+)*$/,
      'must be origins as https://host or https://host:port, separated by commas',
    )
    .optional(),
  DATABASE_URL: postgresAddress.optional(),
  SLUICE_DATABASE_OWNER_URL: postgresAddress.optional(),
  TEMPORAL_ADDRESS: z
    .string()
    .regex(/^[^\s/]+:\d+$/, 'must be host:port')
    .optional(),
  SLUICE_TEMPORAL_NAMESPACE: z.string().min(1).default('default'),
  REDIS_URL: z
    .string()
    .regex(
      /^rediss?:\/\/[^\s,]+(,rediss?:\/\/[^\s,]+)*$/,
      'must be redis://host:port, nodes of a cluster separated by commas',
    )
    .optional(),
  SLUICE_API_PROCESSES: z.coerce.number().int().min(1).max(1_000).default(1),
  SLUICE_LIMITS_WITHOUT_REDIS: z
    .string()
    .regex(
      /^(refuse|local:(1(\.0+)?|0?\.\d*[1-9]\d*))$/,
      'must be refuse, or local:<share> with a share above 0 and up to 1',
    )
    .default('refuse'),
  SLUICE_LIMITS_LEASE_SECONDS: wholeSeconds(30),
  OTEL_EXPORTER_OTLP_ENDPOINT: z.url().optional(),
  SLUICE_TRACE_SAMPLING: z.coerce.number().min(0).max(1).default(0.01),
  SLUICE_LOG_LEVEL: z.enum(logLevels).default('info'),
  SLUICE_MASTER_KEY: z
    .string()
    .regex(/^[0-9a-fA-F]{64}$/, 'must be 64 hex digits (32 bytes)')
    .optional(),
  SLUICE_ENVELOPE_KEYS: z.string().optional(),
  SLUICE_ENVELOPE_KEYS_FILE: z.string().optional(),
  SLUICE_REQUEST_RETENTION_DAYS: z.coerce.number().int().min(1).max(3_650).default(30),
  SLUICE_PAYLOAD_RETENTION_DAYS: z.coerce.number().int().min(1).max(365).default(7),
  SLUICE_EARLIER_MASTER_KEYS: z
    .string()
    .regex(/^[0-9a-fA-F]{64}(,[0-9a-fA-F]{64})*$/, 'must be keys of 64 hex digits, separated by commas')
    .optional(),
  SLUICE_AUDIT_CHECKPOINTS: z.string().optional(),
  SLUICE_AUDIT_RETENTION_DAYS: z.coerce.number().int().min(1).max(36_500).default(2_192),
  SLUICE_ARTIFACT_ROOTS: z.string().optional(),
  SLUICE_ARTIFACT_SOURCES: z
    .string()
    .regex(
      /^(?:(?:s3|oci):\/\/[^\s,]+)(?:,(?:s3|oci):\/\/[^\s,]+)*$/,
      'must be s3://... and oci://..., separated by commas',
    )
    .optional(),
  SLUICE_S3_ENDPOINT: z.url({ protocol: /^https?$/ }).optional(),
  SLUICE_S3_REGION: z
    .string()
    .regex(/^[a-z0-9-]{1,64}$/, 'must be the name of a region')
    .optional(),
  SLUICE_OCI_AUTH: z.string().optional(),
  SLUICE_OCI_PLAIN_HTTP: z.string().optional(),
  SLUICE_SIGSTORE_TRUST_ROOT: z.string().optional(),
  SLUICE_REMOTE_HOSTS: hostsSetting.optional(),
  SLUICE_OUTBOUND_HOSTS: hostsSetting.optional(),
  SLUICE_TRUSTED_PROXIES: z
    .string()
    .refine((text) => text.split(',').every(isNetwork), 'must be networks as 10.0.0.0/8, separated by commas')
    .optional(),
  ...oidcVariables,
  SLUICE_REPLICA_START_SECONDS: wholeSeconds(300),
  SLUICE_REPLICA_LIVENESS_SECONDS: wholeSeconds(20),
  SLUICE_REPLICA_RUN_LIMIT_SECONDS: wholeSeconds(120),
  SLUICE_REPLICA_DRAIN_SECONDS: wholeSeconds(30),
  SLUICE_BODY_LIMIT_BYTES: z.coerce.number().int().min(1_024).default(mebibytes(16)),
  SLUICE_ARTIFACT_LIMIT_BYTES: z.coerce.number().int().min(mebibytes(1)).default(gibibytes(64)),
  SLUICE_CURRENCY: z
    .string()
    .regex(/^[A-Z]{3}$/, 'must be three capital letters (ISO 4217), for example EUR')
    .default('USD'),
  SLUICE_BUDGET_LOST_SECONDS: wholeSeconds(60),
  SLUICE_STREAM_HEARTBEAT_SECONDS: z.coerce.number().min(0).max(3_600).default(10),
});

/** What the environment says, each variable by itself. */
export type Variables = z.infer<typeof variables>;

/** @throws SLU_PLATFORM_SETTING naming the variable and what is wrong with it */
export function variablesOf(env: Readonly<Record<string, string | undefined>>): Variables {
  // An empty variable means an unset one, as in most shells' `VAR= command`.
  const given = Object.fromEntries(Object.entries(env).filter(([, value]) => value !== undefined && value !== ''));
  const parsed = variables.safeParse(given);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw sluiceError('SLU_PLATFORM_SETTING', {
    name: String(issue?.path[0] ?? '?'),
    problem: issue?.message ?? 'is not valid',
  });
}
