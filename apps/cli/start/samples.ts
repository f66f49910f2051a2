import { ArtifactStore, Endpoints, ModelRegistry, ReplicaSets } from '#libs/inference';
import { isSluiceError } from '#libs/kernel';
import type { SluiceConfig } from '#libs/platform';
import type { Database } from '#libs/store';
import { fileURLToPath } from 'node:url';

const toneFolder = fileURLToPath(new URL('../../../../deploy/models/tone/', import.meta.url));
const actor = 'system';

/** Registers both versions of `tone` and makes version 1 live, so that there is something to call and to roll out. */
export async function offerSamples(database: Database, config: SluiceConfig): Promise<void> {
  const replicaSets = new ReplicaSets(database);
  const store = new ArtifactStore({
    folder: config.artifactFolder,
    folderAccess: { kind: 'below', roots: [toneFolder] },
  });
  const registry = new ModelRegistry(database, store, replicaSets);
  for (const version of ['1', '2']) await registry.registerFolder(`${toneFolder}${version}`, actor);
  try {
    await new Endpoints(database, replicaSets).create({ name: 'tone', model: 'tone', version: '1', actor });
  } catch (error) {
    // A start that was cut off after this point has done it already.
    if (!isSluiceError(error) || error.code !== 'SLU_ENDPOINT_CONFLICT') throw error;
  }
}
