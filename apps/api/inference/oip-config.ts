import type { LiveEndpoint, SchedulingRules, ServedVersion, ServingSnapshot, TensorSpec } from '#libs/inference';
import { describedVersion, platforms, versionsOf } from './oip-metadata.js';

interface TensorConfig {
  name: string;
  data_type: string;
  dims: readonly number[];
}

/** As Triton's `ModelConfig` message in JSON, as far as a manifest says something about it. */
export interface ModelConfig {
  name: string;
  platform: string;
  backend: string;
  version_policy?: { specific: { versions: number[] } };
  max_batch_size: number;
  input: TensorConfig[];
  output: TensorConfig[];
  instance_group: { name: string; count: number; kind: 'KIND_AUTO' | 'KIND_MODEL' }[];
  dynamic_batching?: DynamicBatching;
  response_cache: { enable: boolean };
}

interface DynamicBatching {
  preferred_batch_size: readonly number[];
  max_queue_delay_microseconds: number;
  preserve_ordering: boolean;
  priority_levels: number;
  default_priority_level: number;
  default_queue_policy: {
    timeout_action: 'REJECT';
    default_timeout_microseconds: number;
    allow_timeout_override: boolean;
    max_queue_size: number;
  };
}

const microsecondsPerMs = 1_000;

/**
 * Triton's model configuration, made from the manifest. `dims` leave out the batch where the model has one, as there.
 * @throws SLU_MODEL_VERSION_UNKNOWN
 */
export function modelConfig(
  endpoint: LiveEndpoint,
  asked: string | undefined,
  { replicas }: Pick<ServingSnapshot, 'replicas'>,
  rulesOf: (version: ServedVersion) => SchedulingRules,
): ModelConfig {
  const version = describedVersion(endpoint, asked);
  const { isStackable, format, settings } = version;
  const numbers = versionsOf(endpoint).map((each) => Number(each.version));
  const tensor = ({ name, datatype, shape }: TensorSpec): TensorConfig => ({
    name,
    data_type: `TYPE_${datatype === 'BYTES' ? 'STRING' : datatype}`,
    dims: isStackable ? shape.slice(1) : shape,
  });
  return {
    name: endpoint.name,
    platform: platforms[format],
    backend: format,
    // Triton knows versions by number only; others cannot be told.
    ...(numbers.every((number) => Number.isSafeInteger(number) && number > 0) && {
      version_policy: { specific: { versions: numbers } },
    }),
    max_batch_size: isStackable ? version.maxBatchRows : 0,
    input: version.inputs.map(tensor),
    output: version.outputs.map(tensor),
    instance_group: [
      {
        name: endpoint.name,
        count: replicas.get(version.key)?.desired ?? 0,
        kind: format === 'remote' ? 'KIND_MODEL' : 'KIND_AUTO',
      },
    ],
    ...(isStackable && { dynamic_batching: dynamicBatching(rulesOf(version)) }),
    response_cache: { enable: settings.responseCache !== undefined },
  };
}

function dynamicBatching(rules: SchedulingRules): DynamicBatching {
  const { preferredRows, maxDelayMs, priorityLevels, defaultPriority, defaultTimeoutMs, maxRequests } = rules;
  // One level is none, for which Triton's number is 0.
  const hasLevels = priorityLevels > 1;
  return {
    preferred_batch_size: [...(preferredRows ?? [])],
    max_queue_delay_microseconds: Math.round(maxDelayMs * microsecondsPerMs),
    preserve_ordering: false,
    priority_levels: hasLevels ? priorityLevels : 0,
    default_priority_level: hasLevels ? defaultPriority : 0,
    default_queue_policy: {
      timeout_action: 'REJECT',
      default_timeout_microseconds: defaultTimeoutMs * microsecondsPerMs,
      allow_timeout_override: true,
      max_queue_size: maxRequests,
    },
  };
}
