import { sluiceError } from '#libs/kernel';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { listed, networksOf, variablesOf, type Variables } from './config-variables.js';
import { envelopeKeysOf } from './envelope-keys.js';
import { oidcConfigOf, type OidcConfig } from './oidc-config.js';

/** Everything that Sluice reads from its environment, parsed once. Nothing else reads `process.env`. */
export interface SluiceConfig {
  version: string;
  /** The state folder, absolute. */
  home: string;
  host: string;
  port: number;
  grpcPort: number;
  tls: TlsSettings;
  /** Whether somebody chose to serve without TLS, so that nobody has to be warned of it. */
  isPlainHttpChosen: boolean;
  /** Origins (`https://console.example`) whose pages may call the API from a browser; none by default. */
  corsOrigins: string[];
  /** Whom the serving processes are in the database. Unset: the embedded PostgreSQL. */
  databaseUrl: string | undefined;
  /** Who owns the tables and brings them to this release. Unset: whoever `databaseUrl` names. */
  databaseOwnerUrl: string | undefined;
  /** Unset: the embedded Temporal server. */
  temporalAddress: string | undefined;
  temporalNamespace: string;
  /** Counts the limits for all API processes; nodes of one cluster are separated by commas. Unset: in process. */
  redisUrl: string | undefined;
  /** How many API processes share the limits. */
  apiProcesses: number;
  /** What holds while Redis does not answer: nobody is let in, or this share of the limits in each process. */
  limitsWithoutRedis: { kind: 'refuse' } | { kind: 'local'; share: number };
  /** A slot of concurrent requests whose API process does not renew it for so long is free again. */
  limitsLeaseSeconds: number;
  otlpEndpoint: string | undefined;
  /** Share of requests without a sampled parent that are traced, 0 to 1. */
  traceSampling: number;
  logLevel: Variables['SLUICE_LOG_LEVEL'];
  /** 32 bytes; all other keys derive from it. Unset until the launcher has made one. */
  masterKey: Buffer | undefined;
  /** What wraps data keys, the current key first; none: a key derived from the master key. */
  envelopeKeys: Buffer[];
  requestRetentionDays: number;
  payloadRetentionDays: number;
  /** What the master key was before: what was bound or sealed with one of them can still be checked and opened. */
  earlierMasterKeys: Buffer[];
  /** Second place of the audit checkpoints: a folder, absolute, or `s3://bucket/prefix`. */
  auditCheckpoints: string;
  auditRetentionDays: number;
  artifactFolder: string;
  /** Folders below which `POST /api/models {"path": ...}` may read; unset means any while the API listens on loopback. */
  artifactRoots: string[] | undefined;
  /** Beginnings of `s3://` and `oci://` sources that may be fetched; unset means any while the API listens on loopback. */
  artifactSources: string[] | undefined;
  /** `http(s)://host:port` of an S3-compatible store; unset: AWS itself. */
  s3Endpoint: string | undefined;
  s3Region: string | undefined;
  /** Registry credentials in the form of Docker's `config.json`. */
  ociAuth: string | undefined;
  /** Registries (`host:port`) that may be spoken to without TLS, besides loopback. */
  ociPlainHttp: string[];
  /** A Sigstore `trusted_root.json`. */
  sigstoreTrustRoot: string | undefined;
  /** `host`, `host:port`, `*.domain` or a range: where remote models may be. Unset: anywhere while the API listens on loopback, else at public addresses. */
  remoteHosts: string[] | undefined;
  /** The same for webhooks and for the stores of artifacts, besides public addresses. */
  outboundHosts: string[];
  /** Networks of the proxies whose `X-Forwarded-For` counts. */
  trustedProxies: string[];
  /** Unset: nobody's tokens are trusted, and API keys alone open. */
  oidc: OidcConfig | undefined;
  /** Short on purpose: the path of a Unix socket holds about 100 bytes. */
  socketFolder: string;
  spoolFolder: string;
  bodyLimitBytes: number;
  /** Most bytes of one model version, unpacked. */
  artifactLimitBytes: number;
  /** After so long without an event a stream says that it lives; 0: never. */
  streamHeartbeatSeconds: number;
  /** ISO 4217: the one currency of all prices and budgets. */
  currency: string;
  /** An API process that says nothing for so long is given up: what it held of hard budgets counts as spent. */
  budgetLostSeconds: number;
  replicas: ReplicaTimes;
}

export type TlsSettings =
  | { kind: 'off' }
  /** Sluice's own certificate, in this folder. */
  | { kind: 'self-signed'; folder: string }
  | { kind: 'files'; certificateFile: string; privateKeyFile: string };

/** How long a replica may take for what. */
export interface ReplicaTimes {
  /** From its start to its being ready. */
  startDeadlineSeconds: number;
  /** A replica that answers no liveness probe for so long, though no run is under way, is replaced. */
  livenessSeconds: number;
  /** One run of a model. */
  runLimitSeconds: number;
  /** The requests in flight, when it is to end. */
  drainDeadlineSeconds: number;
}

/** @throws SLU_PLATFORM_SETTING naming the variable and what is wrong with it */
export function loadConfig(env: Readonly<Record<string, string | undefined>>): SluiceConfig {
  const value = variablesOf(env);
  refuseSeveralAlone(value);
  refuseOwnerAlone(value);
  const home = resolve(value.SLUICE_HOME);
  return {
    version: packageVersion(),
    home,
    host: value.SLUICE_HOST,
    port: value.SLUICE_PORT,
    grpcPort: value.SLUICE_GRPC_PORT,
    tls: tlsOf(value, home),
    isPlainHttpChosen: value.SLUICE_TLS === 'off',
    corsOrigins: value.SLUICE_CORS_ORIGINS?.split(',').map((origin) => origin.trim().toLowerCase()) ?? [],
    databaseUrl: value.DATABASE_URL,
    databaseOwnerUrl: value.SLUICE_DATABASE_OWNER_URL,
    temporalAddress: value.TEMPORAL_ADDRESS,
    temporalNamespace: value.SLUICE_TEMPORAL_NAMESPACE,
    redisUrl: value.REDIS_URL,
    apiProcesses: value.SLUICE_API_PROCESSES,
    limitsWithoutRedis: withoutRedis(value.SLUICE_LIMITS_WITHOUT_REDIS),
    limitsLeaseSeconds: value.SLUICE_LIMITS_LEASE_SECONDS,
    otlpEndpoint: value.OTEL_EXPORTER_OTLP_ENDPOINT,
    traceSampling: value.SLUICE_TRACE_SAMPLING,
    logLevel: value.SLUICE_LOG_LEVEL,
    masterKey: value.SLUICE_MASTER_KEY === undefined ? undefined : Buffer.from(value.SLUICE_MASTER_KEY, 'hex'),
    envelopeKeys: envelopeKeysOf(value.SLUICE_ENVELOPE_KEYS, value.SLUICE_ENVELOPE_KEYS_FILE),
    requestRetentionDays: value.SLUICE_REQUEST_RETENTION_DAYS,
    payloadRetentionDays: value.SLUICE_PAYLOAD_RETENTION_DAYS,
    earlierMasterKeys: (value.SLUICE_EARLIER_MASTER_KEYS?.split(',') ?? []).map((key) => Buffer.from(key, 'hex')),
    auditCheckpoints: auditPlace(value.SLUICE_AUDIT_CHECKPOINTS, home),
    auditRetentionDays: value.SLUICE_AUDIT_RETENTION_DAYS,
    artifactFolder: join(home, 'artifacts'),
    artifactRoots: value.SLUICE_ARTIFACT_ROOTS?.split(':')
      .filter(Boolean)
      .map((path) => resolve(path)),
    artifactSources: value.SLUICE_ARTIFACT_SOURCES?.split(','),
    s3Endpoint: value.SLUICE_S3_ENDPOINT,
    s3Region: value.SLUICE_S3_REGION,
    ociAuth: value.SLUICE_OCI_AUTH,
    ociPlainHttp: value.SLUICE_OCI_PLAIN_HTTP?.split(',').filter(Boolean) ?? [],
    sigstoreTrustRoot: value.SLUICE_SIGSTORE_TRUST_ROOT && resolve(value.SLUICE_SIGSTORE_TRUST_ROOT),
    remoteHosts: value.SLUICE_REMOTE_HOSTS === undefined ? undefined : listed(value.SLUICE_REMOTE_HOSTS),
    outboundHosts: value.SLUICE_OUTBOUND_HOSTS === undefined ? [] : listed(value.SLUICE_OUTBOUND_HOSTS),
    trustedProxies: networksOf(value.SLUICE_TRUSTED_PROXIES),
    oidc: oidcConfigOf(value),
    socketFolder: join(
      shortTemporaryFolder(),
      `sluice-${createHash('sha256').update(home).digest('hex').slice(0, 10)}`,
    ),
    spoolFolder: join(home, 'spool'),
    bodyLimitBytes: value.SLUICE_BODY_LIMIT_BYTES,
    artifactLimitBytes: value.SLUICE_ARTIFACT_LIMIT_BYTES,
    currency: value.SLUICE_CURRENCY,
    budgetLostSeconds: value.SLUICE_BUDGET_LOST_SECONDS,
    streamHeartbeatSeconds: value.SLUICE_STREAM_HEARTBEAT_SECONDS,
    replicas: {
      startDeadlineSeconds: value.SLUICE_REPLICA_START_SECONDS,
      livenessSeconds: value.SLUICE_REPLICA_LIVENESS_SECONDS,
      runLimitSeconds: value.SLUICE_REPLICA_RUN_LIMIT_SECONDS,
      drainDeadlineSeconds: value.SLUICE_REPLICA_DRAIN_SECONDS,
    },
  };
}

type LimitVariables = Pick<Variables, 'SLUICE_API_PROCESSES' | 'REDIS_URL'>;

// Each would let in as much as all of them together may.
function refuseSeveralAlone({ SLUICE_API_PROCESSES: processes, REDIS_URL: redisUrl }: LimitVariables): void {
  if (processes === 1 || redisUrl !== undefined) return;
  throw sluiceError('SLU_PLATFORM_SETTING', {
    name: 'REDIS_URL',
    problem: `is not set, and SLUICE_API_PROCESSES=${processes} processes can only count limits together in Redis`,
  });
}

// The embedded server has an owner of its own; an address beside it would be meant for another.
function refuseOwnerAlone(value: Pick<Variables, 'DATABASE_URL' | 'SLUICE_DATABASE_OWNER_URL'>): void {
  if (value.SLUICE_DATABASE_OWNER_URL === undefined || value.DATABASE_URL !== undefined) return;
  throw sluiceError('SLU_PLATFORM_SETTING', {
    name: 'DATABASE_URL',
    problem: 'is not set: beside SLUICE_DATABASE_OWNER_URL it names the login of the serving processes',
  });
}

function withoutRedis(text: string): SluiceConfig['limitsWithoutRedis'] {
  return text === 'refuse' ? { kind: 'refuse' } : { kind: 'local', share: Number(text.slice('local:'.length)) };
}

function auditPlace(given: string | undefined, home: string): string {
  if (given === undefined) return join(home, 'audit-checkpoints');
  if (!given.includes('://')) return resolve(given);
  if (/^s3:\/\/[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](?:\/[^?#\s]{0,500})?$/.test(given)) return given;
  throw sluiceError('SLU_PLATFORM_SETTING', {
    name: 'SLUICE_AUDIT_CHECKPOINTS',
    problem: 'must be a folder or s3://bucket/prefix',
  });
}

type TlsVariables = Pick<Variables, 'SLUICE_TLS' | 'SLUICE_TLS_CERT' | 'SLUICE_TLS_KEY'>;

// Files that are named but not used would leave somebody believing that they are.
function tlsOf(value: TlsVariables, home: string): TlsSettings {
  const { SLUICE_TLS: kind, SLUICE_TLS_CERT: certificateFile, SLUICE_TLS_KEY: privateKeyFile } = value;
  const hasFiles = certificateFile !== undefined || privateKeyFile !== undefined;
  if (kind !== 'files' && hasFiles)
    throw tlsProblem('SLUICE_TLS', 'must be files when SLUICE_TLS_CERT or SLUICE_TLS_KEY is set');
  if (kind === 'self-signed') return { kind, folder: join(home, 'tls') };
  if (kind !== 'files') return { kind: 'off' };
  if (certificateFile === undefined)
    throw tlsProblem('SLUICE_TLS_CERT', 'must name a PEM file with the certificate and its chain');
  if (privateKeyFile === undefined) throw tlsProblem('SLUICE_TLS_KEY', 'must name a PEM file with the private key');
  return { kind, certificateFile: resolve(certificateFile), privateKeyFile: resolve(privateKeyFile) };
}

const tlsProblem = (name: string, problem: string): Error => sluiceError('SLU_PLATFORM_SETTING', { name, problem });

/** Whether only callers on this machine reach it. */
export const isOwnMachine = (host: string): boolean =>
  host === 'localhost' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host);

/** Narrows a setting that the launcher always provides. @throws SLU_PLATFORM_SETTING */
export function required<T>(value: T | undefined, name: string): T {
  if (value === undefined) throw sluiceError('SLU_PLATFORM_SETTING', { name, problem: 'is not set' });
  return value;
}

const longestTemporaryFolderBytes = 56;

// Below a longer one no socket could be opened.
function shortTemporaryFolder(): string {
  const folder = tmpdir();
  return Buffer.byteLength(folder) > longestTemporaryFolderBytes ? '/tmp' : folder;
}

function packageVersion(): string {
  // dist/libs/platform/config.js and libs/platform/config.ts lie at different depths below package.json.
  for (const up of ['../../package.json', '../../../package.json']) {
    try {
      const parsed = JSON.parse(readFileSync(new URL(up, import.meta.url), 'utf8')) as {
        name?: string;
        version?: string;
      };
      if (parsed.name === 'sluice' && parsed.version !== undefined) return parsed.version;
    } catch {
      continue;
    }
  }
  return '0.0.0';
}
