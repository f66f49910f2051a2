import { once } from 'node:events';
import type { ServerDuplexStream } from '@grpc/grpc-js';

/** Requests of one stream that may be in flight; more stay unread, so that the client feels the pressure. */
const inFlightLimit = 256;

/**
 * Answers the requests of a stream in the order in which they came, while up to 256 of them run at the same time.
 * Resolves when the client has ended its side and has all answers, or when the call is over.
 * @param answer never rejects
 * @param over aborts when the call is over
 */
export async function answerInOrder<Request, Response>(
  stream: ServerDuplexStream<Request, Response>,
  answer: (request: Request) => Promise<Response>,
  over: AbortSignal,
): Promise<void> {
  let inFlight = 0;
  let whenRoom: (() => void) | undefined;
  let written = Promise.resolve();
  const write = async (answered: Promise<Response>): Promise<void> => {
    const response = await answered;
    if (!over.aborted && !stream.write(response)) await once(stream, 'drain', { signal: over }).catch(() => undefined);
    inFlight -= 1;
    whenRoom?.();
  };
  over.addEventListener('abort', () => whenRoom?.(), { once: true });
  for await (const request of stream as AsyncIterable<Request>) {
    if (over.aborted) break;
    const answered = answer(request);
    written = written.then(() => write(answered));
    inFlight += 1;
    if (inFlight >= inFlightLimit && !over.aborted) {
      await new Promise<void>((resolve) => (whenRoom = resolve));
      whenRoom = undefined;
    }
  }
  await written;
  if (!over.aborted) stream.end();
}
