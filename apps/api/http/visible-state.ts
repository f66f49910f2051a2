import type { Principal } from '#libs/access';
import type { LiveEndpoint, ServingSnapshot, ServingState } from '#libs/inference';

type Visible = Pick<ServingState, 'endpoint' | 'snapshot'>;

/** What of the endpoints a caller may know of: the others are not there, in no list and by no name. */
export function visibleTo({ endpoints: allowed }: Pick<Principal, 'endpoints'>, state: Visible): Visible {
  if (allowed === undefined) return state;
  return {
    endpoint: (name): LiveEndpoint | undefined => (allowed.has(name) ? state.endpoint(name) : undefined),
    get snapshot(): ServingSnapshot {
      return visibleSnapshot({ endpoints: allowed }, state.snapshot);
    },
  };
}

export function visibleSnapshot(
  { endpoints: allowed }: Pick<Principal, 'endpoints'>,
  snapshot: ServingSnapshot,
): ServingSnapshot {
  if (allowed === undefined) return snapshot;
  return { ...snapshot, endpoints: new Map([...snapshot.endpoints].filter(([name]) => allowed.has(name))) };
}
