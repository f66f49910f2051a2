import type { ErasureActivities } from '#activities/erasure.activities';
import { CancellationScope, proxyActivities, setCurrentDetails, upsertSearchAttributes } from '@temporalio/workflow';
import { phaseAttribute } from '../rollout/search-attributes.js';
import type { ErasedFromStore, ErasureInput, ErasureOutcome, ErasurePhase } from './contract.js';
import { currentDetails } from './current-details.js';

/** An erasure never gives up, however long PostgreSQL is away. */
const { planErasure, eraseFrom, certify } = proxyActivities<ErasureActivities>({
  startToCloseTimeout: '10 min',
  // The activity beats while it works, so that the worker's death is noticed long before the time is up.
  heartbeatTimeout: '5 s',
  retry: { initialInterval: '200 ms', backoffCoefficient: 2, maximumInterval: '30 s' },
});

/**
 * Erases a subject from one store after the other, the data key first, and certifies it. A person has a right to it, so a
 * cancellation does not stop it half-way.
 */
export function erasure(input: ErasureInput): Promise<ErasureOutcome> {
  return CancellationScope.nonCancellable(() => carryOut(input));
}

async function carryOut(input: ErasureInput): Promise<ErasureOutcome> {
  const { erasureId } = input;
  const stores: ErasedFromStore[] = [];
  let planned: readonly string[] = [];
  const enter = (phase: ErasurePhase): void => {
    upsertSearchAttributes([{ key: phaseAttribute, value: phase }]);
    setCurrentDetails(currentDetails(input, phase, planned, stores));
  };
  enter('requested');
  planned = await planErasure(input);
  enter('erasing');
  for (const store of planned) {
    const erased = await eraseFrom.executeWithOptions({ summary: `erase from ${store}` }, [{ erasureId, store }]);
    stores.push({ store, erased });
    enter('erasing');
  }
  enter('certifying');
  const certifiedAt = await certify(erasureId);
  enter('erased');
  return { stores, certifiedAt };
}
