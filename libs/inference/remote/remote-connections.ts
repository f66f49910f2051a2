import type { Clock } from '#libs/kernel';
import type { Logger } from '#libs/platform';
import { guardReplica } from './guarded-language-replica.js';
import type { Replica } from '../ports/replica.js';
import { RemoteTarget, type RemoteSurroundings, type RemoteVersion } from './remote-target.js';
import type { ReplicaPlace } from '../replicas/replica-pool.js';
import { RetryBudget } from './retry-budget.js';
import type { ServedVersion } from '../routes/route-table.js';

export interface RemoteConnectionsSettings extends RemoteSurroundings {
  clock: Clock;
  log: Pick<Logger, 'warn'>;
}

/** Opens guarded connections to the servers of remote versions. */
export class RemoteConnections {
  private readonly budgets = new WeakMap<ServedVersion, RetryBudget>();

  constructor(private readonly settings: RemoteConnectionsSettings) {}

  /** @param place its address says which of the version's targets it is */
  open(place: ReplicaPlace, version: ServedVersion): Replica {
    const { clock, log } = this.settings;
    const targets = targetsOf(remoteVersionOf(version), this.settings);
    const known = targets.find(({ address }) => address === place.address);
    // A row that somebody else wrote must not cost the others their connections: this one is never ready.
    const stray = known === undefined ? `${place.address} is none of the targets of ${version.key}` : undefined;
    const target = known ?? targets[0]!;
    const { limits } = target;
    const probe = target.openProbe();
    const inner = target.open(place.id);
    return guardReplica(inner, {
      clock,
      maxConcurrency: limits.maxConcurrency,
      timeoutMs: limits.timeoutMs,
      breaker: limits.breaker,
      budget: this.budgetOf(version, limits.retryBudgetRatio),
      probeEveryMs: limits.probeEveryMs,
      probe,
      hindrance: () => stray ?? target.hindrance(),
      scrub: (text) => target.scrub(text),
      onChange: (change) =>
        log.warn({ version: version.key, target: target.address, change: target.scrub(change) }, 'a remote target'),
    });
  }

  private budgetOf(version: ServedVersion, ratio: number): RetryBudget {
    let budget = this.budgets.get(version);
    if (budget === undefined) this.budgets.set(version, (budget = new RetryBudget(ratio, this.settings.clock)));
    return budget;
  }
}

/** In the order of the manifest. */
export const targetsOf = (version: RemoteVersion, surroundings: RemoteSurroundings): RemoteTarget[] =>
  version.remote.targets.map((target) => new RemoteTarget(version, target, surroundings));

function remoteVersionOf({ key, model, version, inputs, outputs, settings: { remote } }: ServedVersion): RemoteVersion {
  if (remote === undefined) throw new Error(`${key} is not a remote version`);
  return { model, version, inputs, outputs, remote };
}
