import { AsyncLocalStorage } from 'node:async_hooks';
import type { EntityManager } from 'typeorm';

/**
 * What has to hold, and to be written, for the units of work that are begun inside `run` to commit: it is called in each of
 * them when its work is done, with what that returned, and rolls it back by throwing.
 */
export const commitCondition = new AsyncLocalStorage<(tx: EntityManager, result: unknown) => Promise<void>>();
