import type { Server } from 'node:http';
import { setImmediate as nextTurn } from 'node:timers/promises';

/** How the process of a model server ends, for whoever started it. */
export const exitCodes = { done: 0, failure: 1, wrongSettings: 2, loadFailure: 3 } as const;

/** Says something to the parent over its channel, if there is one. */
export function tellParent(message: Record<string, unknown>): void {
  if (process.connected) process.send?.(message, undefined, undefined, () => undefined);
}

/** Tells the parent (and the log) why, and ends the process as soon as that is on its way. */
export function failProcess(reason: string, exitCode: number): void {
  process.stderr.write(`${reason}\n`);
  const exit = (): never => process.exit(exitCode);
  if (!process.connected) return exit();
  process.send?.({ kind: 'failed', reason }, undefined, undefined, exit);
}

/** Calls `stop` once, at the first sign that this process is to end. */
export function onProcessEnd(stop: () => void): void {
  let isStopping = false;
  const stopOnce = (): void => {
    if (isStopping) return;
    isStopping = true;
    stop();
  };
  process.on('SIGTERM', stopOnce);
  // Ctrl-C reaches every process of a terminal at once; with a parent, it is the parent that decides who ends when.
  process.on('SIGINT', () => {
    if (!process.connected) stopOnce();
  });
  // Without its parent nobody would ever stop this process.
  process.on('disconnect', stopOnce);
}

/** Takes no new connections, and resolves when each request that was begun has its answer. */
export async function drainServer(server: Server): Promise<void> {
  // What has already arrived is read before the idle connections are closed, so no request is cut off unseen.
  await nextTurn();
  await nextTurn();
  await new Promise<void>((resolve) => server.close(() => resolve()));
}
