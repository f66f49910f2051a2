import { appendAudit } from '#libs/audit';
import { isSluiceError, sluiceError } from '#libs/kernel';
import { EndpointEntity, ModelVersionEntity, RouteEntity, type Database, type RouteArm, type Tx } from '#libs/store';
import {
  endpointPolicySchema,
  missText,
  policyMisses,
  type EndpointPolicy,
  type PolicyMiss,
} from './endpoint-policy.js';
import { soleVersion } from './endpoints-arms.js';
import type { Evaluated } from './evaluation-gate.js';
import type { Manifest } from '../models/manifest.js';
import type { ModelSignatures } from '../models/model-signatures.js';

export interface PolicyView {
  endpoint: string;
  /** 0 while none was ever set. */
  revision: number;
  policy: EndpointPolicy;
  madeBy: string | null;
  at: Date | null;
  /** Versions that were let in against it, by an admin's word. */
  overrides: PolicyOverride[];
  /** What the live versions do not fulfil. They keep their traffic. */
  warnings: string[];
}

export interface PolicyOverride {
  version: string;
  reason: string;
  madeBy: string;
  at: Date;
}

interface By {
  actor: string;
  requestId?: string | undefined;
}

/** A route that is about to be written. */
export interface Admission extends By {
  endpoint: string;
  model: string;
  arms: readonly RouteArm[];
  /** Empty for a new endpoint. */
  liveArms: readonly RouteArm[];
  rolloutId?: string | undefined;
  /** A person goes back to an earlier route. */
  isRollback?: boolean | undefined;
}

interface PolicyRow {
  revision: number;
  policy: EndpointPolicy;
  madeBy: string;
  at: Date;
}

/**
 * What endpoints ask of versions, and the one gate through which a version gets traffic. It stands in the transaction that
 * writes the route, behind the lock of the endpoint, so that nothing it looked at has changed by the time of the commit.
 */
export class EndpointPolicies {
  constructor(
    private readonly database: Database,
    private readonly signatures: ModelSignatures,
  ) {}

  /** @throws SLU_ENDPOINT_UNKNOWN */
  async get(endpoint: string): Promise<PolicyView> {
    return this.database.run(async (tx) => {
      const row = await tx.findOneBy(EndpointEntity, { name: endpoint });
      if (row === null) throw sluiceError('SLU_ENDPOINT_UNKNOWN', { endpoint });
      return this.viewIn(tx, row);
    });
  }

  /** Writes the next revision. Traffic stays where it is. @throws SLU_ENDPOINT_UNKNOWN, SLU_POLICY_STALE */
  async put(
    endpoint: string,
    policy: EndpointPolicy,
    by: By & { expectedRevision?: number | undefined },
  ): Promise<PolicyView> {
    return this.database.run(async (tx) => {
      const row = await lockedEndpoint(tx, endpoint);
      const before = (await currentPolicy(tx, endpoint))?.revision ?? 0;
      if (by.expectedRevision !== undefined && by.expectedRevision !== before)
        throw sluiceError('SLU_POLICY_STALE', { endpoint, revision: before });
      await this.putIn(tx, endpoint, before + 1, policy, by);
      return this.viewIn(tx, row);
    });
  }

  async putIn(tx: Tx, endpoint: string, revision: number, policy: EndpointPolicy, by: By): Promise<void> {
    await tx.query('INSERT INTO endpoint_policies (endpoint, revision, policy, made_by) VALUES ($1, $2, $3, $4)', [
      endpoint,
      revision,
      JSON.stringify(policy),
      by.actor,
    ]);
    const gates = policy.evaluation.map(({ metric }) => metric).join(' ');
    await audit(tx, 'policy.write', endpoint, by, { revision, unsigned: policy.signatures.unsigned, gates });
  }

  /**
   * Lets one version in against the policy, until the policy changes.
   * @throws SLU_ENDPOINT_UNKNOWN, SLU_MODEL_VERSION_UNKNOWN, SLU_POLICY_UNKNOWN
   */
  async override(endpoint: string, version: string, reason: string, by: By): Promise<PolicyView> {
    return this.database.run(async (tx) => {
      const row = await lockedEndpoint(tx, endpoint);
      const current = await currentPolicy(tx, endpoint);
      if (current === undefined) throw sluiceError('SLU_POLICY_UNKNOWN', { endpoint });
      if (!(await tx.existsBy(ModelVersionEntity, { model: row.model, version })))
        throw sluiceError('SLU_MODEL_VERSION_UNKNOWN', { model: row.model, version });
      await tx.query(
        `INSERT INTO policy_overrides (endpoint, revision, version, reason, made_by) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (endpoint, revision, version) DO UPDATE SET reason = excluded.reason, made_by = excluded.made_by, at = now()`,
        [endpoint, current.revision, version, reason, by.actor],
      );
      await audit(tx, 'policy.override', endpoint, by, { revision: current.revision, version, reason });
      return this.viewIn(tx, row);
    });
  }

  /**
   * Passes or refuses every version whose share grows. The caller holds the endpoint's lock.
   * @returns what was let pass all the same, for the answer; each is in the audit trail as well
   * @throws SLU_POLICY_SIGNATURE, SLU_POLICY_EVALUATION
   */
  async admit(tx: Tx, admission: Admission): Promise<string[]> {
    const current = await currentPolicy(tx, admission.endpoint);
    if (current === undefined) return [];
    const warnings: string[] = [];
    const stable = await stableOf(tx, admission.rolloutId);
    for (const version of growing(admission)) {
      const live = stable ?? liveVersion(admission.liveArms, version);
      const misses = await this.missesOf(tx, current.policy, admission.model, version, live);
      if (misses.length === 0) continue;
      const standing = await standingOf(tx, admission, current.revision, { version, stable });
      for (const miss of misses) warnings.push(await letPass(tx, admission, { version, miss, standing }));
    }
    return warnings;
  }

  /** A refusal takes its own transaction back, so its proof is written in one of its own. */
  async noteRefusal(failure: unknown, endpoint: string, by: By): Promise<void> {
    if (!isSluiceError(failure) || !['SLU_POLICY_SIGNATURE', 'SLU_POLICY_EVALUATION'].includes(failure.code)) return;
    const { code, detail } = failure;
    await this.database
      .run((tx) => audit(tx, 'policy.refuse', endpoint, by, { code, ...detail }, 'refused'))
      .catch(() => undefined);
  }

  private async viewIn(tx: Tx, { name, model, revision }: EndpointEntity): Promise<PolicyView> {
    const current = await currentPolicy(tx, name);
    const overrides: PolicyOverride[] = await tx.query(
      `SELECT version, reason, made_by AS "madeBy", at FROM policy_overrides
        WHERE endpoint = $1 AND revision = $2 ORDER BY at, version`,
      [name, current?.revision ?? 0],
    );
    const policy = current?.policy ?? endpointPolicySchema.parse({});
    const route = await tx.findOneByOrFail(RouteEntity, { endpoint: name, revision });
    const warnings: string[] = [];
    for (const version of new Set(route.arms.map((arm) => arm.version)))
      for (const miss of await this.missesOf(tx, policy, model, version, undefined))
        warnings.push(`version ${version} has traffic and keeps it: ${missText(miss)}`);
    return {
      endpoint: name,
      revision: current?.revision ?? 0,
      policy,
      madeBy: current?.madeBy ?? null,
      at: current?.at ?? null,
      overrides,
      warnings,
    };
  }

  private async missesOf(
    tx: Tx,
    policy: EndpointPolicy,
    model: string,
    version: string,
    live: string | undefined,
  ): Promise<PolicyMiss[]> {
    const row = await tx.findOneBy(ModelVersionEntity, { model, version });
    if (row === null) throw sluiceError('SLU_MODEL_VERSION_UNKNOWN', { model, version });
    // Nobody waits for keys where no signature is asked for.
    const signatures = policy.signatures.unsigned === 'allowed' ? [] : await this.signatures.judged(tx, row);
    const liveRow = live === undefined ? null : await tx.findOneBy(ModelVersionEntity, { model, version: live });
    return policyMisses(policy, { ...evaluated(row), signatures }, liveRow === null ? undefined : evaluated(liveRow));
  }
}

/** Why a version that misses the policy may have traffic all the same. */
type Standing =
  | { kind: 'entry' }
  /** It had all of it before: a way back must stay open. */
  | { kind: 'return' }
  /** A rollout puts back what it found. */
  | { kind: 'stable' }
  | { kind: 'override'; by: string; reason: string };

async function standingOf(
  tx: Tx,
  { endpoint, isRollback }: Admission,
  revision: number,
  { version, stable }: { version: string; stable: string | undefined },
): Promise<Standing> {
  if (version === stable) return { kind: 'stable' };
  const overrides: { by: string; reason: string }[] = await tx.query(
    'SELECT made_by AS by, reason FROM policy_overrides WHERE endpoint = $1 AND revision = $2 AND version = $3',
    [endpoint, revision, version],
  );
  const [override] = overrides;
  if (override !== undefined) return { kind: 'override', ...override };
  if (isRollback === true && (await hadAllTraffic(tx, endpoint, version))) return { kind: 'return' };
  return { kind: 'entry' };
}

interface Finding {
  version: string;
  miss: PolicyMiss;
  standing: Standing;
}

/** @returns the warning @throws when the standing does not carry the miss */
async function letPass(tx: Tx, admission: Admission, { version, miss, standing }: Finding): Promise<string> {
  const text = missText(miss);
  const note = (action: string, why: string): Promise<void> =>
    audit(tx, action, admission.endpoint, admission, { version, miss: text, why });
  if (standing.kind === 'override') {
    await note('policy.override-use', standing.reason);
    return `version ${version} was let in by ${standing.by}: ${text}`;
  }
  if (miss.severity === 'warned') {
    await note('policy.warn', 'the policy says warned');
    return `version ${version}: ${text}`;
  }
  // Going back to what somebody else may have signed is no way out of an emergency.
  const isDanger = miss.kind === 'signature' && miss.isRevoked;
  if (standing.kind === 'stable' || (standing.kind === 'return' && !isDanger)) {
    await note('policy.waive', standing.kind === 'stable' ? 'a rollout puts back what it found' : 'a rollback');
    return `version ${version} was live before and may come back: ${text}`;
  }
  throw refusal(admission.endpoint, version, miss);
}

function refusal(endpoint: string, version: string, miss: PolicyMiss): Error {
  if (miss.kind === 'signature')
    return sluiceError('SLU_POLICY_SIGNATURE', { endpoint, version, problem: miss.problem });
  const { metric, wanted, got } = miss;
  return sluiceError('SLU_POLICY_EVALUATION', { endpoint, version, metric, wanted, got });
}

/** An arm without weight counts as well: a request may name its version. */
function growing({ arms, liveArms }: Admission): string[] {
  const before = weights(liveArms);
  return [...weights(arms)].flatMap(([version, weight]) => {
    const had = before.get(version);
    return had === undefined || weight > had ? [version] : [];
  });
}

function weights(arms: readonly RouteArm[]): Map<string, number> {
  const sums = new Map<string, number>();
  for (const { version, weight } of arms) sums.set(version, (sums.get(version) ?? 0) + weight);
  return sums;
}

/** The version with the largest share besides the candidate: the one that it is compared with. */
function liveVersion(arms: readonly RouteArm[], candidate: string): string | undefined {
  const others = [...weights(arms)].filter(([version]) => version !== candidate).sort(([, a], [, b]) => b - a);
  return others[0]?.[0];
}

async function stableOf(tx: Tx, rolloutId: string | undefined): Promise<string | undefined> {
  if (rolloutId === undefined) return undefined;
  const rows: { version: string }[] = await tx.query('SELECT stable_version AS version FROM rollouts WHERE id = $1', [
    rolloutId,
  ]);
  return rows[0]?.version;
}

async function hadAllTraffic(tx: Tx, endpoint: string, version: string): Promise<boolean> {
  const routes = await tx.find(RouteEntity, {
    where: { endpoint },
    select: { arms: true, endpoint: true, revision: true },
  });
  return routes.some(({ arms }) => soleVersion(arms) === version);
}

async function currentPolicy(tx: Tx, endpoint: string): Promise<PolicyRow | undefined> {
  const rows: PolicyRow[] = await tx.query(
    `SELECT revision, policy, made_by AS "madeBy", at FROM endpoint_policies WHERE endpoint = $1 ORDER BY revision DESC LIMIT 1`,
    [endpoint],
  );
  return rows[0];
}

async function lockedEndpoint(tx: Tx, name: string): Promise<EndpointEntity> {
  const row = await tx.findOne(EndpointEntity, { where: { name }, lock: { mode: 'pessimistic_write' } });
  if (row === null) throw sluiceError('SLU_ENDPOINT_UNKNOWN', { endpoint: name });
  return row;
}

const evaluated = ({ version, manifest }: ModelVersionEntity): Evaluated => ({
  version,
  evaluation: (manifest as Partial<Manifest>).evaluation,
});

async function audit(
  tx: Tx,
  action: string,
  endpoint: string,
  { actor, requestId }: By,
  detail: Readonly<Record<string, string | number | boolean>>,
  outcome: 'done' | 'refused' = 'done',
): Promise<void> {
  await appendAudit(tx, {
    actor,
    action,
    resource: `endpoint:${endpoint}`,
    outcome,
    requestId,
    detail,
  });
}
