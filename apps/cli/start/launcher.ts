import { ensureAdminKey } from '#libs/access';
import { AuditKeys, sealAuditRows } from '#libs/audit';
import { isSluiceError, systemClock } from '#libs/kernel';
import {
  certificateLoader,
  freePort,
  isPortFree,
  loadConfig,
  NodeChild,
  StartRefused,
  StateFolder,
  TlsCertificate,
  type KeyPair,
  type SluiceConfig,
} from '#libs/platform';
import { Database } from '#libs/store';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { startDatabase, startTemporal, type Service } from './embedded-services.js';
import { Keystrokes, type SignalWay } from './keystrokes.js';
import { OwnApi } from './own-api.js';
import { Progress } from './progress.js';
import { offerSamples } from './samples.js';
import { bringSchemaUpToDate } from './schema.js';
import { startSupervisor } from './supervisor.js';
import { welcome } from './welcome.js';

const readyDeadlineMs = 120_000;

/** Everything that runs, in the order in which it was started; it is stopped in the reverse order. */
class Running {
  private readonly parts: { name: string; stop(): Promise<void>; kill(): void }[] = [];
  private stopping: Promise<void> | undefined;

  get isStopping(): boolean {
    return this.stopping !== undefined;
  }

  /** @throws Error when everything is being stopped: the part is stopped as well, and no further one shall start */
  add(name: string, part: { stop(): Promise<void>; kill(): void }): void {
    this.parts.push({ name, stop: () => part.stop(), kill: () => part.kill() });
    if (this.stopping === undefined) return;
    this.stopping = this.stopping.then(() => this.stopParts());
    throw new Error(`${name} came up while everything was being stopped`);
  }

  async stop(): Promise<void> {
    this.stopping ??= this.stopParts();
    await this.stopping;
  }

  kill(): void {
    for (const part of this.parts) part.kill();
  }

  private async stopParts(): Promise<void> {
    for (let part = this.parts.at(-1); part !== undefined; part = this.parts.at(-1)) {
      const { name } = part;
      await part.stop().catch((error: unknown) => process.stderr.write(`stopping ${name} failed: ${String(error)}\n`));
      this.parts.splice(this.parts.indexOf(part), 1);
    }
  }
}

/** `sluice start`: sets up what is missing, runs everything, and stays until it is told to stop. */
export async function start(env: NodeJS.ProcessEnv): Promise<void> {
  const progress = new Progress((text) => process.stdout.write(text));
  const running = new Running();
  stopWhenAsked(running, progress);
  try {
    await startAll(await withPorts(loadConfig(env), env), env, running, progress);
  } catch (error) {
    // What a start says that was cut off by its own stop is no news; the stop ends the process.
    if (running.isStopping) return;
    await running.stop();
    process.stderr.write(`\nSluice cannot start: ${reasonOf(error)}\n`);
    process.exit(1);
  }
}

async function startAll(
  config: SluiceConfig,
  env: NodeJS.ProcessEnv,
  running: Running,
  progress: Progress,
): Promise<void> {
  const folder = await StateFolder.open(config.home, config.socketFolder, config.version);
  await refuseUsedPorts(config, folder.wasLeftBehind);
  const ownApi = new OwnApi(config, await certificateOf(config));
  const masterKey = config.masterKey?.toString('hex') ?? (await folder.masterKey());

  // PostgreSQL and Temporal do not need each other, but their lines on the terminal would mix.
  const postgres = await startDatabase(config, progress);
  running.add('PostgreSQL', postgres);
  const temporal = await startTemporal(config, progress, env);
  running.add('Temporal', temporal);

  await progress.step('schema', 'bringing it up to date', () =>
    bringSchemaUpToDate(postgres.ownerAddress, { ...config, databaseUrl: postgres.address }),
  );
  // From here on as the application: the owner is not needed any more.
  const database = await Database.connect({
    url: postgres.address,
    applicationName: 'sluice-launcher',
    poolSize: 4,
    isRestricted: true,
  });
  running.add('database connections', { stop: () => database[Symbol.asyncDispose](), kill: () => undefined });
  await sealAuditRows(database, { keys: new AuditKeys(Buffer.from(masterKey, 'hex'), config.earlierMasterKeys) });
  const adminKeyFile = join(config.home, 'admin-key');
  await ensureAdminKey({ database, homeFile: adminKeyFile, masterKey: Buffer.from(masterKey, 'hex') });
  if (folder.record.hasSamples !== true) {
    await progress.step('samples', 'registering the model tone', () => offerSamples(database, config));
    await folder.remember({ hasSamples: true });
  }

  const childEnv = { ...env, ...addresses(config, postgres, temporal), SLUICE_MASTER_KEY: masterKey };
  const supervisor = await startSupervisor(config, database, postgres.address, childEnv);
  running.add('model servers', supervisor);
  const crashed = (name: string) => (how: string, pauseMs: number) =>
    progress.line(`  ${name.padEnd(12)} ended (${how}); starting it again in ${pauseMs} ms`);
  const app = (name: string, nodeFlags: string[]): NodeChild =>
    new NodeChild({
      name,
      entry: fileURLToPath(new URL(`../../${name}/main.js`, import.meta.url)),
      env: childEnv,
      nodeFlags,
      logFile: join(config.home, 'logs', `${name}.log`),
      onCrash: crashed(name),
    });
  const worker = app('worker', ['--max-old-space-size=256']);
  running.add('worker', worker);
  const api = app('api', ['--max-old-space-size=1024']);
  running.add('api', api);
  await progress.step('processes', 'starting API, worker and model servers', async () => {
    await Promise.all([api.start(), worker.start()]);
    await waitUntilReady(config, ownApi);
  });
  running.add('state folder', { stop: () => folder[Symbol.asyncDispose](), kill: () => undefined });
  progress.line(await welcome(config, adminKeyFile, temporal, ownApi, database.wallGaps));
}

function addresses(config: SluiceConfig, postgres: Service, temporal: Service): Record<string, string | undefined> {
  return {
    SLUICE_HOME: config.home,
    SLUICE_HOST: config.host,
    SLUICE_PORT: String(config.port),
    SLUICE_GRPC_PORT: String(config.grpcPort),
    DATABASE_URL: postgres.address,
    SLUICE_DATABASE_OWNER_URL: undefined,
    TEMPORAL_ADDRESS: temporal.address,
  };
}

/**
 * Port 0 asks for any; all processes have to know which one it is. The gRPC port gives way when nobody has asked for it,
 * so that a second instance needs no more than a port of its own.
 */
async function withPorts(config: SluiceConfig, env: NodeJS.ProcessEnv): Promise<SluiceConfig> {
  const { host } = config;
  const port = config.port === 0 ? await freePort(host) : config.port;
  const isAsked = (env['SLUICE_GRPC_PORT'] ?? '') !== '';
  const isUsable =
    config.grpcPort !== 0 && config.grpcPort !== port && (isAsked || (await isPortFree(config.grpcPort, host)));
  return { ...config, port, grpcPort: isUsable ? config.grpcPort : await freePort(host) };
}

async function refuseUsedPorts(config: SluiceConfig, wasLeftBehind: boolean): Promise<void> {
  await refuseUsedPort('SLUICE_PORT', config.port, config, wasLeftBehind);
  await refuseUsedPort('SLUICE_GRPC_PORT', config.grpcPort, config, wasLeftBehind);
}

async function refuseUsedPort(
  setting: string,
  port: number,
  { host }: SluiceConfig,
  wasLeftBehind: boolean,
): Promise<void> {
  // After a crash the API of the earlier start may still be draining; it goes by itself.
  for (let left = wasLeftBehind ? 100 : 1; left > 0; left -= 1) {
    if (await isPortFree(port, host)) return;
    if (left > 1) await sleep(200);
  }
  throw new StartRefused(`port ${port} on ${host} is in use. Stop what uses it, or choose another by ${setting}`);
}

/** What the API will serve with, so that a file that cannot be used is told of before anything starts. */
async function certificateOf(config: SluiceConfig): Promise<KeyPair | undefined> {
  const load = certificateLoader(config, systemClock);
  if (load === undefined) return undefined;
  using certificate = await TlsCertificate.open({ load, onProblem: () => undefined });
  return certificate.current;
}

async function waitUntilReady(config: SluiceConfig, api: OwnApi): Promise<void> {
  const deadline = performance.now() + readyDeadlineMs;
  for (;;) {
    const answer = await api.ask('/v2/health/ready');
    if (answer?.status === 200) return;
    if (performance.now() > deadline)
      throw new Error(`the API was not ready within ${readyDeadlineMs / 1_000} s; see ${config.home}/logs`);
    await sleep(50);
  }
}

const wordsOfSignals = { SIGINT: 'interrupted', SIGTERM: 'told to stop', SIGHUP: 'the terminal is gone' } as const;
type StopSignal = keyof typeof wordsOfSignals;

function stopWhenAsked(running: Running, progress: Progress): void {
  const keystrokes = new Keystrokes();
  const stop = (why: string, way: SignalWay): void => {
    const heard = keystrokes.hear(way, performance.now());
    if (heard === 'echo') return;
    if (heard === 'second') {
      // Asked twice: a person does not want to wait.
      running.kill();
      process.exit(1);
    }
    progress.line(`\n${why}: finishing what is in flight, then stopping (again to stop at once)`);
    running.stop().then(
      () => {
        progress.line('stopped');
        process.exit(0);
      },
      () => process.exit(1),
    );
  };
  for (const signal of Object.keys(wordsOfSignals) as StopSignal[])
    process.on(signal, () => stop(wordsOfSignals[signal], 'direct'));
  process.on('message', (message: { kind?: string; signal?: StopSignal }) => {
    if (message.kind === 'signal' && message.signal !== undefined) stop(wordsOfSignals[message.signal], 'relayed');
  });
  // The script that npm runs is this process's parent; when it is killed, nobody would be left to stop the rest.
  process.on('disconnect', () => {
    if (!keystrokes.hasBegun) stop('the parent process is gone', 'relayed');
  });
}

function reasonOf(error: unknown): string {
  if (error instanceof StartRefused || isSluiceError(error)) return error.message;
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
