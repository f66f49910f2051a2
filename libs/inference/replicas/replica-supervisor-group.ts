import type { WantedReplicas } from './replica-supervisor-ledger.js';
import type { ReplicaLife } from './replica-supervisor-life.js';

/** One version's replicas here, and what is known about starting them. */
export interface VersionGroup {
  wanted: WantedReplicas;
  lives: Set<ReplicaLife>;
  /** Those that go as soon as others carry what is wanted, each with the timer that ends its waiting, if any. */
  leaving: Map<ReplicaLife, NodeJS.Timeout | undefined>;
  backOffMs: number;
  loadFailures: number;
  startTimer: NodeJS.Timeout | undefined;
  /** The wish whose surplus was refused already. */
  refusedWish?: Date | undefined;
  /** Those that hold too much memory, each with why, in the order of their turn. */
  overLimit: Map<ReplicaLife, string>;
  memoryTimer: NodeJS.Timeout | undefined;
}

export function newGroup(wanted: WantedReplicas, backOffMs: number): VersionGroup {
  return {
    wanted,
    lives: new Set(),
    leaving: new Map(),
    backOffMs,
    loadFailures: 0,
    startTimer: undefined,
    overLimit: new Map(),
    memoryTimer: undefined,
  };
}

/** Those that carry traffic or will, and are to stay. */
export const serving = ({ lives, leaving }: VersionGroup): ReplicaLife[] =>
  [...lives].filter((life) => (life.state === 'starting' || life.state === 'ready') && !leaving.has(life));

/** What the manifest says; else those that serve the same requests share what there is. */
export function threadsOf({ manifest, desired }: WantedReplicas, threads: number): number {
  return manifest.instances?.threads ?? Math.max(1, Math.floor(threads / Math.max(1, desired)));
}

export function freeOrdinal(group: VersionGroup): number {
  // A server elsewhere can be reached twice, so the next connection need not wait until the one before is gone.
  const lives = group.wanted.manifest.remote === undefined ? [...group.lives] : serving(group);
  const taken = new Set(lives.map((life) => life.ordinal));
  let ordinal = 0;
  while (taken.has(ordinal)) ordinal += 1;
  return ordinal;
}

/** On other servers there are as many as the manifest names; here it is for the wish to say. */
export const mostReplicas = ({ remote }: WantedReplicas['manifest']): number => remote?.targets.length ?? Infinity;

export function forgetLeaving({ leaving }: VersionGroup, life: ReplicaLife): void {
  clearTimeout(leaving.get(life));
  leaving.delete(life);
}
