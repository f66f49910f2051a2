import {
  EmbeddedPostgres,
  findTemporal,
  freePort,
  isPortFree,
  serviceLog,
  TemporalServer,
  type SluiceConfig,
} from '#libs/platform';
import { applicationRole } from '#libs/store';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Progress } from './progress.js';

/** A service of others that this launcher runs, or only knows the address of. */
export interface Service {
  address: string;
  /** Address of its own web page, where it has one. */
  page?: string | undefined;
  stop(): Promise<void>;
  kill(): void;
}

export interface DatabaseService extends Service {
  /** The same database as whom the tables belong to. For the launcher alone: no other process is given it. */
  ownerAddress: string;
}

const pauseBeforeRestartMs = 500;
const database = 'sluice';
const usualTemporalPort = 7_233;
const usualTemporalUiPort = 8_233;

/** PostgreSQL: the one that DATABASE_URL names, or the embedded one. */
export async function startDatabase(config: SluiceConfig, progress: Progress): Promise<DatabaseService> {
  const { databaseUrl, databaseOwnerUrl: ownerAddress = databaseUrl } = config;
  if (databaseUrl !== undefined && ownerAddress !== undefined) return { ...external(databaseUrl), ownerAddress };
  const folder = join(config.home, 'postgres');
  const onLine = logTo(config, 'postgres');
  return progress.step('PostgreSQL', 'starting', async () => {
    let postgres = await EmbeddedPostgres.start({ folder, onLine });
    await postgres.createDatabase(database);
    const address = await postgres.login(applicationRole, database);
    const keeper = keepAlive(
      () => postgres.child.exited(),
      async () => {
        // On the same port, so that everybody's connections find it again.
        postgres = await EmbeddedPostgres.start({ folder, onLine, port: postgres.port });
      },
      (how) => progress.line(`  PostgreSQL   ended (${how}); starting it again`),
    );
    return {
      address,
      ownerAddress: postgres.url(database),
      stop: () => keeper.end(() => postgres.stop()),
      kill: () => keeper.endNow(() => postgres.child.kill()),
    };
  });
}

/** Temporal: the one that TEMPORAL_ADDRESS names, or the dev server with its page. */
export async function startTemporal(
  config: SluiceConfig,
  progress: Progress,
  env: NodeJS.ProcessEnv,
): Promise<Service> {
  if (config.temporalAddress !== undefined) return external(config.temporalAddress);
  return progress.step('Temporal', 'starting', async (say) => {
    const found = await findTemporal(join(config.home, 'tools'), env, say);
    const settings = {
      executable: found.path,
      port: await usualOrFree(usualTemporalPort),
      uiPort: await usualOrFree(usualTemporalUiPort),
      databaseFile: join(config.home, 'temporal', 'temporal.db'),
      namespace: config.temporalNamespace,
      onLine: logTo(config, 'temporal'),
    };
    mkdirSync(join(config.home, 'temporal'), { recursive: true });
    let server = await TemporalServer.start(settings).catch(async (failure: unknown) => {
      // Another instance that starts at the same moment may have taken the usual ports since they were looked at.
      if (settings.port !== usualTemporalPort && settings.uiPort !== usualTemporalUiPort) throw failure;
      [settings.port, settings.uiPort] = [await freePort(), await freePort()];
      return TemporalServer.start(settings);
    });
    const keeper = keepAlive(
      () => server.child.exited(),
      async () => {
        server = await TemporalServer.start(settings);
      },
      (how) => progress.line(`  Temporal     ended (${how}); starting it again, inference is not touched`),
    );
    return {
      address: server.address,
      page: server.uiAddress,
      stop: () => keeper.end(() => server.stop()),
      kill: () => keeper.endNow(() => server.child.kill()),
    };
  });
}

function external(address: string): Service {
  return { address, stop: async () => undefined, kill: () => undefined };
}

async function usualOrFree(usual: number): Promise<number> {
  return (await isPortFree(usual)) ? usual : freePort();
}

/** Starts a service again whenever it ends without having been asked to. */
function keepAlive(
  exited: () => Promise<string>,
  startAgain: () => Promise<void>,
  onEnd: (how: string) => void,
): { end(stop: () => Promise<void>): Promise<void>; endNow(kill: () => void): void } {
  let isEnding = false;
  const follow = async (): Promise<void> => {
    for (;;) {
      const how = await exited();
      if (isEnding) return;
      onEnd(how);
      for (;;) {
        await new Promise((resolve) => setTimeout(resolve, pauseBeforeRestartMs));
        if (isEnding) return;
        try {
          await startAgain();
          break;
        } catch {
          // The log of the service says why; it is tried again until it works or Sluice is stopped.
        }
      }
    }
  };
  const following = follow();
  return {
    end: async (stop) => {
      isEnding = true;
      await stop();
      await following;
    },
    endNow: (kill) => {
      isEnding = true;
      kill();
    },
  };
}

const logTo = (config: SluiceConfig, name: string): ((line: string) => void) =>
  serviceLog(join(config.home, 'logs', `${name}.log`));
