import { ReplicaFailure } from '../ports/replica.js';

/** An event larger than this is no token of anything. */
const mostEventBytes = 16_777_216;

/**
 * Takes server-sent events apart, wherever the network cut them. Texts hold bytes as characters (latin1), so that nothing
 * is decoded that is only passed on. Format: https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream
 */
export class EventSplitter {
  /** What is known to hold no end of an event: looked at once, and put together when its end has come. */
  private pieces: string[] = [];
  private heldBytes = 0;
  /** The line ends behind it, which the next bytes may make an end of. */
  private lineEnds = '';

  /** @returns the data of each event that is whole now; comments and other fields are left out. @throws ReplicaFailure 'model' */
  push(chunk: Buffer): string[] {
    let text = this.lineEnds + chunk.toString('latin1');
    if (text.includes('\r')) text = withLineFeeds(text);
    const events: string[] = [];
    let from = 0;
    for (;;) {
      const end = text.indexOf('\n\n', from);
      if (end < 0) break;
      const data = dataOf(this.taken() + text.slice(from, end));
      if (data !== undefined) events.push(data);
      from = end + 2;
    }
    this.hold(text.slice(from));
    if (this.heldBytes > mostEventBytes)
      throw new ReplicaFailure('model', `one event has more than ${mostEventBytes} bytes`);
    return events;
  }

  /** Nothing comes any more. Some servers leave out the last empty line. */
  end(): string[] {
    const data = dataOf(this.taken() + this.lineEnds.replace(/\r/g, '\n'));
    this.lineEnds = '';
    return data === undefined ? [] : [data];
  }

  private hold(text: string): void {
    let end = text.length;
    while (end > 0 && (text[end - 1] === '\n' || text[end - 1] === '\r')) end -= 1;
    this.lineEnds = text.slice(end);
    if (end === 0) return;
    this.pieces.push(text.slice(0, end));
    this.heldBytes += end;
  }

  private taken(): string {
    const text = this.pieces.join('');
    this.pieces = [];
    this.heldBytes = 0;
    return text;
  }
}

// A carriage return at the very end may be half of a line end: it waits for the other half.
const withLineFeeds = (text: string): string => text.replace(/\r\n|\r(?!$)/g, '\n');

function dataOf(event: string): string | undefined {
  if (event.startsWith('data:') && !event.includes('\n')) return valueOf(event);
  const lines = event.split('\n').filter((line) => line.startsWith('data:'));
  return lines.length === 0 ? undefined : lines.map(valueOf).join('\n');
}

const valueOf = (line: string): string => line.slice(line.charCodeAt(5) === 0x20 ? 6 : 5);
