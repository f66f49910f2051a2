import { isSluiceError } from '#libs/kernel';
import { loadConfig, required } from '#libs/platform';
import { bringSchemaUpToDate } from '../start/schema.js';

/**
 * The migration alone, so that the machine that serves never has to know the owner's login.
 * @returns the exit code: 0 done, 1 refused
 */
export async function migrateCommand(env: NodeJS.ProcessEnv): Promise<number> {
  try {
    const config = loadConfig(env);
    const url = config.databaseOwnerUrl ?? required(config.databaseUrl, 'DATABASE_URL');
    const applied = await bringSchemaUpToDate(url, config);
    process.stdout.write(applied.length === 0 ? 'the schema is of this release\n' : `applied: ${applied.join(', ')}\n`);
    return 0;
  } catch (failure) {
    const isKnown = isSluiceError(failure);
    const { message, stack } = failure as Error;
    process.stderr.write(`the schema cannot be brought up to date: ${isKnown ? message : (stack ?? message)}\n`);
    return 1;
  }
}
