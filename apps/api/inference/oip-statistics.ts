import type {
  DurationSum,
  LiveEndpoint,
  ServedVersion,
  ServingSnapshot,
  ServingStatistics,
  VersionStatistics,
} from '#libs/inference';
import { describedVersion, versionsOf } from './oip-metadata.js';

interface StatisticDuration {
  count: number;
  ns: number;
}
type Computing = 'compute_input' | 'compute_infer' | 'compute_output';
type Counted = 'success' | 'fail' | 'queue' | Computing | 'cache_hit' | 'cache_miss';

/** One entry of the statistics extension. */
export interface ModelStatistics {
  name: string;
  version: string;
  last_inference: number;
  inference_count: number;
  execution_count: number;
  inference_stats: Partial<Record<Counted, StatisticDuration>>;
  batch_stats: ({ batch_size: number } & Record<Computing, StatisticDuration>)[];
}

const nanosecondsPerMs = 1_000_000;
const never: DurationSum = { count: 0, ms: 0 };

/** Of all endpoints, in the order of the snapshot. */
export const allStatistics = (
  { endpoints }: Pick<ServingSnapshot, 'endpoints'>,
  counted: Pick<ServingStatistics, 'find'>,
): ModelStatistics[] => [...endpoints.values()].flatMap((endpoint) => modelStatistics(endpoint, undefined, counted));

/**
 * Of all versions of an endpoint, or of one. Endpoints that share a version share its counts.
 * @throws SLU_MODEL_VERSION_UNKNOWN
 */
export function modelStatistics(
  endpoint: LiveEndpoint,
  asked: string | undefined,
  counted: Pick<ServingStatistics, 'find'>,
): ModelStatistics[] {
  const versions = asked === undefined ? versionsOf(endpoint) : [describedVersion(endpoint, asked)];
  return versions.map((version) => statisticsOf(endpoint.name, version, counted.find(version.key)));
}

function statisticsOf(
  name: string,
  { version, settings }: ServedVersion,
  counted: VersionStatistics | undefined,
): ModelStatistics {
  const caching = settings.responseCache !== undefined;
  const batches = [...(counted?.batches ?? [])].sort(([one], [other]) => one - other);
  return {
    name,
    version,
    last_inference: counted?.lastInferenceMs ?? 0,
    inference_count: counted?.inferenceCount ?? 0,
    execution_count: counted?.executionCount ?? 0,
    inference_stats: {
      success: durationOf(counted?.success),
      fail: durationOf(counted?.fail),
      queue: durationOf(counted?.queue),
      compute_input: durationOf(counted?.computeInput),
      compute_infer: durationOf(counted?.computeInfer),
      compute_output: durationOf(counted?.computeOutput),
      ...(caching && { cache_hit: durationOf(counted?.cacheHit), cache_miss: durationOf(counted?.cacheMiss) }),
    },
    batch_stats: batches.map(([rows, sums]) => ({
      batch_size: rows,
      compute_input: durationOf(sums.computeInput),
      compute_infer: durationOf(sums.computeInfer),
      compute_output: durationOf(sums.computeOutput),
    })),
  };
}

const durationOf = ({ count, ms }: DurationSum = never): StatisticDuration => ({
  count,
  ns: Math.round(ms * nanosecondsPerMs),
});
