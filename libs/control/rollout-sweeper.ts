import type { Logger } from '#libs/platform';
import { RolloutEntity, type Database } from '#libs/store';
import { isSluiceError } from '#libs/kernel';
import type { RolloutSpec } from '#workflows/rollout/contract';
import type { AbandonedRollouts } from './abandoned-rollouts.js';
import type { RolloutWorkflows } from './rollout-workflows.js';

export interface SweeperParts {
  database: Database;
  abandoned: Pick<AbandonedRollouts, 'carryOn'>;
  workflows: Pick<RolloutWorkflows, 'start' | 'presence'>;
  logger: Pick<Logger, 'info' | 'warn'>;
}

const sweepEveryMs = 5_000;
const graceSeconds = 10;

/**
 * Brings rows and workflows back together: a rollout whose process died before its workflow was started gets it
 * started, and one whose workflow was ended from outside is carried to its end: its candidate loses its traffic.
 */
export class RolloutSweeper implements AsyncDisposable {
  private timer: NodeJS.Timeout | undefined;
  private sweeping: Promise<void> = Promise.resolve();
  private isStopped = false;

  constructor(private readonly parts: SweeperParts) {}

  start(): void {
    this.plan();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.isStopped = true;
    clearTimeout(this.timer);
    await this.sweeping;
  }

  /** One look. It never throws: what fails now is found again at the next look. */
  async sweep(): Promise<void> {
    try {
      for (const row of await this.suspects()) await this.settleOne(row);
    } catch (failure) {
      this.parts.logger.warn({ err: failure }, 'rollouts could not be swept');
    }
  }

  private plan(): void {
    if (this.isStopped) return;
    this.timer = setTimeout(() => {
      this.sweeping = this.sweep().finally(() => this.plan());
    }, sweepEveryMs);
    this.timer.unref();
  }

  private async suspects(): Promise<RolloutEntity[]> {
    return this.parts.database.read((tx) =>
      tx
        .createQueryBuilder(RolloutEntity, 'rollout')
        .where('rollout.ended_at IS NULL')
        .andWhere('rollout.updated_at < now() - make_interval(secs => :grace)', { grace: graceSeconds })
        .getMany(),
    );
  }

  // One rollout that cannot be settled must not keep the others waiting; Temporal or PostgreSQL being away concerns all.
  private async settleOne(row: RolloutEntity): Promise<void> {
    try {
      await this.settle(row);
    } catch (failure) {
      if (isSluiceError(failure) && failure.status === 503) throw failure;
      this.parts.logger.warn({ err: failure, rolloutId: row.id }, 'a rollout could not be swept');
    }
  }

  private async settle(row: RolloutEntity): Promise<void> {
    const { workflows, abandoned, logger } = this.parts;
    const presence = await workflows.presence(row.id);
    if (presence === 'running') return;
    if (presence === 'absent' && row.phase === 'requested') {
      await workflows.start({ rolloutId: row.id, spec: row.spec as RolloutSpec, startedBy: row.startedBy });
      logger.info({ rolloutId: row.id }, 'a rollout that was asked for got its workflow started');
      return;
    }
    const state = await abandoned.carryOn(row);
    logger.warn({ rolloutId: row.id, phase: row.phase, state }, 'a rollout without a workflow is carried to its end');
  }
}
