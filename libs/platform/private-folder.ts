import { sluiceError } from '#libs/kernel';
import { chmod, lstat, mkdir } from 'node:fs/promises';

const ownerOnly = 0o700;

/**
 * Makes a folder that only this user may enter, or takes over one that is there. It may lie in a shared place for
 * temporary files, where anybody could have made it, or a link in its stead, before.
 * @throws SLU_PLATFORM_SETTING when it is no folder, or another user's
 */
export async function openPrivateFolder(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true, mode: ownerOnly }).catch((failure: NodeJS.ErrnoException) => {
    if (failure.code !== 'EEXIST') throw failure;
  });
  const found = await lstat(folder);
  if (!found.isDirectory() || found.uid !== process.getuid?.()) {
    throw sluiceError('SLU_PLATFORM_SETTING', { name: `folder ${folder}`, problem: 'it is not a folder of this user' });
  }
  await chmod(folder, ownerOnly);
}
