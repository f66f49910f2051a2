import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { EmbeddedPostgres } from '#libs/platform';
// @ts-expect-error: a plain script of the set-up, without types
import { consoleProgress, prepare } from '../../deploy/boot/prepare.mjs';

declare module 'vitest' {
  interface ProvidedContext {
    /** Address of a PostgreSQL of this run alone; `{database}` stands for the database's name. */
    postgresTemplate: string;
  }
}

/** One PostgreSQL for the whole run, on a free port and in a folder that goes with the run; and a fresh build. */
export default async function setUp(project: TestProject): Promise<() => Promise<void>> {
  // Model servers, the worker and the launcher are started by the tests as they are in production: from dist.
  await (prepare as (progress: unknown) => Promise<void>)(consoleProgress);
  const folder = await mkdtemp(join(tmpdir(), 'sluice-test-'));
  const postgres = await EmbeddedPostgres.start({ folder: join(folder, 'postgres'), isDurable: false });
  project.provide('postgresTemplate', postgres.url('{database}'));
  return async () => {
    await postgres.stop();
    await rm(folder, { recursive: true, force: true });
  };
}
