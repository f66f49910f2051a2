export { tryLock } from './advisory-lock.js';
export { wallMissing } from './application-access.js';
export { applicationRole } from './application-role.js';
export { ChangeFeed, type Change, type ChangeFeedListener } from './change-feed.js';
export { commitCondition } from './commit-condition.js';
export { copyIn } from './copy-in.js';
export { Database, isUniqueViolation, type DatabaseSettings, type Tx } from './database.js';
export { ApiKeyEntity } from './entities/api-key.entity.js';
export { EndpointEntity, RouteEntity, type RouteArm } from './entities/endpoint.entity.js';
export { ModelVersionEntity } from './entities/model-version.entity.js';
export {
  ReplicaEntity,
  ReplicaSetEntity,
  replicaCauses,
  type ReplicaCause,
  type ReplicaRuntime,
  type ReplicaState,
} from './entities/replica.entity.js';
export { RolloutEntity, RolloutEventEntity } from './entities/rollout.entity.js';
export { runPrepared, type PreparedStatement } from './prepared.js';
export { cursorOf, exactMoment, placeOf, readPage, type Page, type PageWish } from './keyset-page.js';
