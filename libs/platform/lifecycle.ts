/** Why a process ends: a signal, its parent's death, or its own failure. */
export type StopReason = 'SIGTERM' | 'SIGINT' | 'parent-gone' | 'failure';

let isStopping = false;

/**
 * Runs `stop` once, at the first SIGTERM or SIGINT or when the parent process is gone, then exits with 0.
 * A second signal ends the process at once with 1: a person who asks twice does not want to wait.
 */
export function stopOnSignals(
  stop: (reason: StopReason) => Promise<void>,
  deadlineMs = 30_000,
): (reason: StopReason) => void {
  const begin = (reason: StopReason): void => {
    if (isStopping) {
      if (reason === 'SIGTERM' || reason === 'SIGINT') process.exit(1);
      return;
    }
    isStopping = true;
    const deadline = setTimeout(() => process.exit(1), deadlineMs);
    deadline.unref();
    stop(reason).then(
      () => process.exit(reason === 'failure' ? 1 : 0),
      (error: unknown) => {
        process.stderr.write(
          `stopping failed: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`,
        );
        process.exit(1);
      },
    );
  };
  process.on('SIGTERM', () => begin('SIGTERM'));
  process.on('SIGINT', () => begin('SIGINT'));
  process.on('disconnect', () => begin('parent-gone'));
  return begin;
}

/**
 * The backstop of a child whose parent is gone: ends the process when its graceful stop has not, so that a crashed
 * parent leaves no orphan. Without a parent channel (started by hand or by an orchestrator) it does nothing.
 */
export function superviseParent(): void {
  if (process.channel === undefined) return;
  process.on('disconnect', () => {
    setTimeout(() => process.exit(1), 35_000).unref();
  });
}

/** Tells the parent, where there is one, something about this process. */
export function tellParent(message: { kind: string } & Record<string, unknown>): void {
  if (process.connected) process.send?.(message, undefined, undefined, () => undefined);
}
