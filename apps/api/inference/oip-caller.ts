import { CallerPresence } from '#libs/inference';
import type { Socket } from 'node:net';

const presences = new WeakMap<Socket, CallerPresence>();

/** Whether the client of this connection is still there; made once per connection, however many requests it carries. */
export function callerOf(socket: Socket): CallerPresence {
  let presence = presences.get(socket);
  if (presence === undefined) {
    const made = new CallerPresence();
    presences.set(socket, made);
    socket.once('close', () => made.leave());
    presence = made;
  }
  return presence;
}
