/** Something that its caller may no longer want. */
export interface Abandonable {
  abandon(): void;
}

/**
 * Whether the other side of a connection is still there. One object serves all requests of a connection, which costs
 * far less than an AbortSignal with a listener for each request.
 */
export class CallerPresence {
  isGone = false;
  private readonly waiting = new Set<Abandonable>();

  static of(signal: AbortSignal): CallerPresence {
    const presence = new CallerPresence();
    if (signal.aborted) presence.leave();
    else signal.addEventListener('abort', () => presence.leave(), { once: true });
    return presence;
  }

  await(work: Abandonable): void {
    this.waiting.add(work);
  }

  forget(work: Abandonable): void {
    this.waiting.delete(work);
  }

  /** The caller has gone: everything that waits for it is abandoned. */
  leave(): void {
    this.isGone = true;
    for (const work of this.waiting) work.abandon();
    this.waiting.clear();
  }
}
