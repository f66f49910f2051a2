import type { RouteArm } from '#libs/store';
import { defaultMaxBatchRows } from '../models/manifest-settings.js';
import { taskOf, type Manifest, type ModelTask } from '../models/manifest.js';
import type { TensorSpec } from '../tensors/tensor.js';

export type ServingSettings = Pick<
  Manifest,
  'batching' | 'queue' | 'instances' | 'responseCache' | 'language' | 'remote'
>;

/** A model version as the data plane needs it. The object stays the same for as long as its row does. */
export interface ServedVersion {
  readonly key: string;
  readonly model: string;
  readonly version: string;
  readonly contentDigest: string;
  readonly format: Manifest['format'];
  readonly task: ModelTask;
  /** What the manifest says about how it is to be served. */
  readonly settings: ServingSettings;
  readonly inputs: readonly TensorSpec[];
  readonly outputs: readonly TensorSpec[];
  readonly maxBatchRows: number;
  /** Every input and output has a free first size, so requests can share a run. */
  readonly isStackable: boolean;
  /** A size behind the batch is free, so two requests may differ in shape. */
  readonly hasFreeSizes: boolean;
}

/** One arm of a live route. `bucketEnd` is the first of the 10,000 buckets that belongs to the next arm. */
export interface LiveArm {
  readonly endpoint: string;
  readonly revision: number;
  readonly name: string;
  readonly weight: number;
  readonly version: ServedVersion;
  readonly bucketEnd: number;
}

export interface LiveEndpoint {
  readonly name: string;
  readonly model: string;
  readonly revision: number;
  /** In the order of their buckets: `stable` comes last. */
  readonly arms: readonly LiveArm[];
  /** Versions of this route and of the one before it, which a request may name exactly. */
  readonly pinned: ReadonlyMap<string, LiveArm>;
}

export interface EndpointRow {
  name: string;
  model: string;
  revision: number;
  arms: RouteArm[];
  previousArms: RouteArm[] | null;
}

export const bucketCount = 10_000;
export const stableArm = 'stable';
/** The arm of requests that name a version. It is no part of any comparison between arms. */
export const pinnedArm = 'pinned';

export const versionKey = (model: string, version: string): string => `${model}/${version}`;

export function servedVersion(manifest: Manifest, contentDigest: string): ServedVersion {
  const specs = [...manifest.inputs, ...manifest.outputs];
  return {
    key: versionKey(manifest.name, manifest.version),
    model: manifest.name,
    version: manifest.version,
    contentDigest,
    format: manifest.format,
    task: taskOf(manifest),
    settings: manifest,
    inputs: manifest.inputs,
    outputs: manifest.outputs,
    maxBatchRows: manifest.batching?.maxBatchRows ?? defaultMaxBatchRows,
    isStackable: specs.every(({ shape }) => shape[0] === -1),
    hasFreeSizes: manifest.inputs.some(({ shape }) => shape.slice(1).includes(-1)),
  };
}

/** @returns keys of all versions that the row's live and previous routes name */
export function versionKeysOf(row: EndpointRow): string[] {
  return [...row.arms, ...(row.previousArms ?? [])].map((arm) => versionKey(row.model, arm.version));
}

/**
 * Makes a row ready for requests. Returns `before` itself when nothing has changed, so that whatever hangs on its arms
 * stays. Returns undefined when an arm with traffic names a version that is not known: such a route cannot be served.
 */
export function liveEndpoint(
  row: EndpointRow,
  versions: ReadonlyMap<string, ServedVersion>,
  before: LiveEndpoint | undefined,
): LiveEndpoint | undefined {
  const find = (arm: RouteArm): ServedVersion | undefined => versions.get(versionKey(row.model, arm.version));
  if (row.arms.some((arm) => arm.weight > 0 && find(arm) === undefined)) return undefined;

  const arms: LiveArm[] = [];
  let weightSum = 0;
  for (const arm of inBucketOrder(row.arms)) {
    const version = find(arm);
    if (version === undefined) continue;
    weightSum += arm.weight;
    const bucketEnd = Math.round((weightSum * bucketCount) / 100);
    arms.push({ endpoint: row.name, revision: row.revision, name: arm.name, weight: arm.weight, version, bucketEnd });
  }
  const pinned = new Map<string, LiveArm>();
  for (const arm of [...row.arms, ...(row.previousArms ?? [])]) {
    const version = find(arm);
    if (version === undefined) continue;
    const { name: endpoint, revision } = row;
    pinned.set(arm.version, { endpoint, revision, name: pinnedArm, weight: 0, version, bucketEnd: 0 });
  }
  const now: LiveEndpoint = { name: row.name, model: row.model, revision: row.revision, arms, pinned };
  return before !== undefined && isSame(before, now) ? before : now;
}

// The stable arm has the highest buckets: giving the others more never moves anyone out of them.
function inBucketOrder(arms: readonly RouteArm[]): RouteArm[] {
  return [...arms.filter((arm) => arm.name !== stableArm), ...arms.filter((arm) => arm.name === stableArm)];
}

// A revision is immutable, but a version that it names may have been read anew.
function isSame(one: LiveEndpoint, other: LiveEndpoint): boolean {
  if (one.revision !== other.revision || one.model !== other.model || one.arms.length !== other.arms.length)
    return false;
  if (!one.arms.every((arm, index) => arm.version === other.arms[index]?.version)) return false;
  if (one.pinned.size !== other.pinned.size) return false;
  return [...one.pinned].every(([version, arm]) => other.pinned.get(version)?.version === arm.version);
}
