/** How a signal came: to this process itself, or as a message from the script that npm runs. */
export type SignalWay = 'direct' | 'relayed';

/** The same keystroke often comes by both ways; what follows so soon by the other one is its echo. */
const echoMs = 1_000;

/**
 * Tells keystrokes from their echoes. One Ctrl-C may come directly, relayed (and through npm more than once), or both, in
 * either order. A second keystroke is one that comes directly again, or later than an echo could.
 */
export class Keystrokes {
  private first: { atMs: number; wasDirect: boolean } | undefined;

  get hasBegun(): boolean {
    return this.first !== undefined;
  }

  hear(way: SignalWay, atMs: number): 'first' | 'echo' | 'second' {
    const isDirect = way === 'direct';
    if (this.first === undefined) {
      this.first = { atMs, wasDirect: isDirect };
      return 'first';
    }
    const isEcho = atMs - this.first.atMs < echoMs && !(isDirect && this.first.wasDirect);
    this.first.wasDirect ||= isDirect;
    return isEcho ? 'echo' : 'second';
  }
}
