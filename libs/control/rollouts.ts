import { appendAudit } from '#libs/audit';
import { isSluiceError, sluiceError } from '#libs/kernel';
import { replicaCountOf, soleVersion, type Endpoints } from '#libs/inference';
import { RolloutEntity, RolloutEventEntity, RouteEntity, type Database, type Tx } from '#libs/store';
import { isOutcome, refusal, type RolloutCommand, type RolloutSpec } from '#workflows/rollout/contract';
import { randomUUID } from 'node:crypto';
import { appendEvent, type RolloutLedger } from './rollout-ledger.js';
import { validateRolloutRequest, type RolloutRequest } from './rollout-request.js';
import { eventViewOf, rolloutViewOf, type RolloutDetailView, type RolloutView } from './rollout-view.js';
import type { RolloutWorkflows } from './rollout-workflows.js';

export interface RolloutParts {
  database: Database;
  endpoints: Endpoints;
  ledger: RolloutLedger;
  workflows: Pick<RolloutWorkflows, 'start' | 'command'>;
}

/** Who gives a command, and why. */
export interface CommandBy {
  /** As in the audit trail: `key:<id>`. */
  actor: string;
  reason?: string | undefined;
  requestId?: string | undefined;
}

const uuidPattern = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
const mostListed = 200;

/** Starting, steering and reading rollouts. Reads go to PostgreSQL alone, so they answer while Temporal is away. */
export class Rollouts {
  constructor(private readonly parts: RolloutParts) {}

  /**
   * Starts a rollout. When Temporal cannot be reached, nothing is left behind.
   * @throws SLU_ROLLOUT_INVALID, SLU_ENDPOINT_UNKNOWN, SLU_ENDPOINT_HELD, SLU_MODEL_VERSION_UNKNOWN, SLU_MODEL_VERSION_ARCHIVED,
   *   SLU_POLICY_*, SLU_PLATFORM_TEMPORAL_DOWN, SLU_PLATFORM_DATABASE_DOWN
   */
  async start(body: unknown, actor: string, requestId?: string): Promise<RolloutDetailView> {
    const request = validateRolloutRequest(body);
    const rolloutId = randomUUID();
    const spec = await this.parts.database
      .run((tx) => this.enter(tx, rolloutId, request, { actor, requestId }))
      .catch(async (failure: unknown) => {
        await this.parts.endpoints.policies.noteRefusal(failure, request.endpoint, { actor, requestId });
        throw failure;
      });
    try {
      await this.parts.workflows.start({ rolloutId, spec, startedBy: actor });
    } catch (failure) {
      await this.takeBack(rolloutId, failure);
      throw failure;
    }
    return this.get(rolloutId);
  }

  /** @throws SLU_ROLLOUT_UNKNOWN, SLU_ROLLOUT_REFUSED, SLU_ROLLOUT_UNANSWERED, SLU_PLATFORM_TEMPORAL_DOWN */
  async command(id: string, command: RolloutCommand, by: CommandBy): Promise<RolloutDetailView> {
    const { phase } = await this.get(id);
    // The row may be a moment behind the workflow, so only an ended rollout is refused without asking it.
    if (isOutcome(phase))
      throw sluiceError('SLU_ROLLOUT_REFUSED', { command, problem: refusal(phase, command) ?? 'it has ended' });
    try {
      await this.parts.workflows.command(id, command, {
        actor: by.actor,
        ...(by.reason === undefined ? {} : { reason: by.reason }),
        requestId: by.requestId,
      });
    } catch (failure) {
      if (!isSluiceError(failure) || failure.code !== 'SLU_ROLLOUT_UNKNOWN') throw failure;
      await this.refuseAbsent(id, command, failure);
    }
    return this.get(id);
  }

  /** @throws SLU_ROLLOUT_UNKNOWN */
  async get(id: string): Promise<RolloutDetailView> {
    const { row, events } = await this.parts.database.read(async (tx) => ({
      row: uuidPattern.test(id) ? await tx.findOneBy(RolloutEntity, { id }) : null,
      events: uuidPattern.test(id)
        ? await tx.find(RolloutEventEntity, { where: { rolloutId: id }, order: { seq: 'ASC' } })
        : [],
    }));
    if (row === null) throw sluiceError('SLU_ROLLOUT_UNKNOWN', { rolloutId: id });
    return { ...rolloutViewOf(row), events: events.map(eventViewOf) };
  }

  /** The newest first. */
  async list(filter: { endpoint?: string | undefined } = {}): Promise<RolloutView[]> {
    const rows = await this.parts.database.read((tx) =>
      tx.find(RolloutEntity, {
        ...(filter.endpoint === undefined ? {} : { where: { endpoint: filter.endpoint } }),
        order: { createdAt: 'DESC' },
        take: mostListed,
      }),
    );
    return rows.map(rolloutViewOf);
  }

  private async enter(tx: Tx, rolloutId: string, request: RolloutRequest, by: CommandBy): Promise<RolloutSpec> {
    const endpoint = await this.parts.endpoints.hold(tx, request.endpoint, rolloutId);
    const route = await tx.findOneByOrFail(RouteEntity, { endpoint: endpoint.name, revision: endpoint.revision });
    const stableVersion = soleVersion(route.arms);
    if (stableVersion === undefined) {
      throw sluiceError('SLU_ROLLOUT_INVALID', {
        field: 'endpoint',
        problem: 'its live route is split; give one version all traffic first',
      });
    }
    if (stableVersion === request.candidate) {
      throw sluiceError('SLU_ROLLOUT_INVALID', {
        field: 'candidate',
        problem: `version ${stableVersion} has all traffic already`,
      });
    }
    for (const version of [stableVersion, request.candidate]) {
      await this.parts.endpoints.requireRegistered(tx, endpoint.model, version);
    }
    const { candidate, ...settings } = request;
    const warnings = await this.parts.endpoints.admitCandidate(tx, endpoint, candidate, by);
    const { model } = endpoint;
    const replicas = settings.replicas ?? (await replicaCountOf(tx, { model, version: candidate }));
    const spec: RolloutSpec = { ...settings, replicas, model, stableVersion, candidateVersion: candidate };
    await this.insert(tx, rolloutId, spec, by, warnings);
    return spec;
  }

  private async insert(
    tx: Tx,
    rolloutId: string,
    spec: RolloutSpec,
    { actor, requestId }: CommandBy,
    warnings: readonly string[],
  ): Promise<void> {
    await tx.query(
      `INSERT INTO rollouts (id, endpoint, model, stable_version, candidate_version, strategy, spec, phase, started_by)
       VALUES ($1, $2, $3, $4, $5, $6, $7, 'requested', $8)`,
      [
        rolloutId,
        spec.endpoint,
        spec.model,
        spec.stableVersion,
        spec.candidateVersion,
        spec.strategy,
        JSON.stringify(spec),
        actor,
      ],
    );
    const detail = { from: spec.stableVersion, to: spec.candidateVersion };
    const requested = warnings.length === 0 ? detail : { ...detail, warnings };
    await appendEvent(tx, { rolloutId, eventKey: '0-requested', kind: 'requested', actor, detail: requested });
    await appendAudit(tx, {
      actor,
      action: 'rollout.start',
      resource: `rollout:${rolloutId}`,
      outcome: 'done',
      requestId,
      detail: { endpoint: spec.endpoint, model: spec.model, ...detail },
    });
  }

  // A workflow that was started after all (its answer came too late) finds its rollout ended and does nothing.
  private async takeBack(rolloutId: string, failure: unknown): Promise<void> {
    const reason = isSluiceError(failure) ? failure.message : 'the workflow could not be started';
    await this.parts.ledger.end({ rolloutId, outcome: 'failed', reason, actor: 'system', eventKey: '1-not-started' });
  }

  private async refuseAbsent(id: string, command: RolloutCommand, failure: Error): Promise<never> {
    const { phase } = await this.get(id);
    if (isOutcome(phase)) {
      throw sluiceError(
        'SLU_ROLLOUT_REFUSED',
        { command, problem: refusal(phase, command) ?? 'it has ended' },
        { cause: failure },
      );
    }
    // Its workflow is about to be started by the sweeper, or its row is about to be closed by it.
    throw sluiceError('SLU_ROLLOUT_UNANSWERED', {}, { cause: failure, retryAfterSeconds: 5 });
  }
}
