import type { RolloutPorts } from './rollout.activities.js';
import { OutcomeEvidence, refuseLateRaise, RolloutLedger, VersionDrain } from '#libs/control';
import { Endpoints, ReplicaSets, type ModelSignatures } from '#libs/inference';
import type { Database } from '#libs/store';

/** The rollout's activities on the real world: PostgreSQL, through the libs that own its tables. */
export function rolloutPorts(database: Database, signatures?: ModelSignatures): RolloutPorts {
  const replicaSets = new ReplicaSets(database);
  const endpoints = new Endpoints(database, replicaSets, signatures);
  const ledger = new RolloutLedger(database, endpoints);
  const drain = new VersionDrain(database, replicaSets);
  return {
    capacity: {
      raise: async ({ rolloutId, model, version, replicas }) => {
        const actor = `workflow:rollout:${rolloutId}`;
        const before = await database.run(async (tx) => {
          await refuseLateRaise(tx, rolloutId);
          return replicaSets.ensureAtLeast(tx, { model, version, desired: replicas, actor });
        });
        return Math.max(before, replicas);
      },
      waitUntilReady: (ask) => replicaSets.waitUntilReady(ask),
      readyCount: (model, version) => replicaSets.readyCount(model, version),
      drain: (ask) => drain.drain(ask),
    },
    routes: {
      write: ({ rolloutId, fence, endpoint, arms, reason }) =>
        endpoints.writeRoute({ rolloutId, fence, endpoint, arms, reason, madeBy: `workflow:rollout:${rolloutId}` }),
    },
    evidence: new OutcomeEvidence(database),
    ledger: {
      record: (progress) => ledger.record(progress),
      showVerdict: (rolloutId, verdict) => ledger.showVerdict(rolloutId, verdict),
      finish: (ask) => ledger.end({ ...ask, eventKey: 'x-ended' }),
    },
  };
}
