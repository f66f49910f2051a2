export { assertNever } from './assert-never.js';
export { addSeconds, systemClock, type Clock } from './clock.js';
export { errorTable, type ErrorCode } from './error-table.js';
export {
  latencyBucket,
  latencyBucketCount,
  latencyCountAbove,
  latencyOfBucket,
  latencyQuantile,
  latencyTotal,
  mergeLatencyCounts,
  type LatencyCounts,
} from './latency-histogram.js';
export { messageOf } from './failure-message.js';
export { isName, isVersion, namePattern, versionPattern } from './names.js';
export { isSluiceError, SluiceError, sluiceError, type ErrorDetail } from './sluice-error.js';
export { nextState, type TransitionTable } from './state-machine.js';
export { days, gibibytes, hours, kibibytes, mebibytes, minutes, secondsToMs } from './units.js';
