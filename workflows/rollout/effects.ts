import type { RolloutActivities } from '#activities/rollout.activities';
import { ActivityCancellationType, proxyActivities, type ActivityOptions } from '@temporalio/workflow';
import type { CapacityAsk, RouteAsk, SenseAsk } from './contract.js';

const heartbeatTimeout = '5 s';

/** Effects that must happen, however long PostgreSQL is away: a rollback never gives up. */
const untilDone: ActivityOptions = {
  startToCloseTimeout: '20 s',
  // The activity beats while it works, so that the worker's death is noticed long before the time is up.
  heartbeatTimeout,
  retry: { initialInterval: '200 ms', backoffCoefficient: 2, maximumInterval: '5 s' },
};

const loading: ActivityOptions = {
  startToCloseTimeout: '7 h',
  heartbeatTimeout,
  // A command must not wait for an activity to notice that nobody wants its answer.
  cancellationType: ActivityCancellationType.TRY_CANCEL,
  retry: { initialInterval: '200 ms', backoffCoefficient: 2, maximumInterval: '5 s' },
};

const looking: ActivityOptions = {
  scheduleToCloseTimeout: '2 min',
  heartbeatTimeout,
  cancellationType: ActivityCancellationType.TRY_CANCEL,
  retry: { initialInterval: '200 ms', backoffCoefficient: 2, maximumInterval: '2 s' },
};

export const { recordProgress, drainVersion, finish } = proxyActivities<RolloutActivities>(untilDone);
const routing = proxyActivities<RolloutActivities>(untilDone);
const capacity = proxyActivities<RolloutActivities>(loading);
const senses = proxyActivities<RolloutActivities>(looking);

export const writeRoute = (ask: RouteAsk): ReturnType<RolloutActivities['writeRoute']> =>
  routing.writeRoute.executeWithOptions(
    { summary: ask.arms.map((arm) => `${arm.version}: ${arm.weight} %`).join(', ') },
    [ask],
  );

export const prepareVersion = (ask: CapacityAsk): ReturnType<RolloutActivities['prepareVersion']> =>
  capacity.prepareVersion.executeWithOptions({ summary: `${ask.replicas} ready of ${ask.model}/${ask.version}` }, [
    ask,
  ]);

/** A look that keeps failing is given up after its time, so that the step's limit is seen; the next look follows. */
export const sense = (ask: SenseAsk): ReturnType<RolloutActivities['sense']> =>
  senses.sense.executeWithOptions(
    {
      startToCloseTimeout: `${ask.waitSeconds + 30} s`,
      scheduleToCloseTimeout: `${ask.waitSeconds + 60} s`,
      summary: `watch revision ${ask.revisions.at(-1)}`,
    },
    [ask],
  );
