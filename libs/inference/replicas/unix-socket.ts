import { chmod, lstat, unlink } from 'node:fs/promises';
import type { Server } from 'node:http';

const ownerOnly = 0o600;
const notForOthers = 0o177;

/** Listens on a socket file that only this user may open. A socket that an earlier process left there is removed. */
export async function listenOnSocket(server: Server, socketPath: string): Promise<void> {
  const earlier = await lstat(socketPath).catch(() => undefined);
  if (earlier?.isSocket() === true) await unlink(socketPath);
  // The mask closes the moment between the file's creation and the change of its mode.
  const mask = process.umask(notForOthers);
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(socketPath, () => {
        server.off('error', reject);
        resolve();
      });
    });
  } finally {
    process.umask(mask);
  }
  await chmod(socketPath, ownerOnly);
}
