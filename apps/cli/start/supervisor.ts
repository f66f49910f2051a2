import { SecretSeal } from '#libs/access';
import {
  modelServerSpawner,
  PythonEnvironments,
  pythonServerSpawner,
  remoteSpawner,
  ReplicaSupervisor,
  SecretHeaderRing,
  spawnByFormat,
  type SpawnReplica,
} from '#libs/inference';
import { secondsToMs } from '#libs/kernel';
import {
  createLogger,
  grantedProcessors,
  loadConfig,
  remoteGuard,
  required,
  serviceLog,
  type SluiceConfig,
} from '#libs/platform';
import { ChangeFeed, type Database } from '#libs/store';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Model servers see the model and where to report traces, and no secret of the platform. */
const handedOn = [
  'PATH',
  'HOME',
  'LANG',
  'TZ',
  'OTEL_EXPORTER_OTLP_ENDPOINT',
  'LD_LIBRARY_PATH',
  'SLUICE_HOME',
] as const;

/** Keeps as many model servers running as the database asks for. */
export async function startSupervisor(
  config: SluiceConfig,
  database: Database,
  databaseUrl: string,
  env: NodeJS.ProcessEnv,
): Promise<{ stop(): Promise<void>; kill(): void }> {
  const logger = createLogger({
    service: 'supervisor',
    level: config.logLevel,
    file: join(config.home, 'logs', 'supervisor.log'),
  });
  const say = serviceLog(join(config.home, 'logs', 'model-servers.log'));
  const serverEnv = Object.fromEntries(
    handedOn.flatMap((name) => (env[name] === undefined ? [] : [[name, env[name]]])),
  );
  const onLine = (line: string, { model, version }: { model: string; version: string }): void =>
    say(`${model}/${version} ${line}`);
  const masterKey = required(loadConfig(env).masterKey, 'SLUICE_MASTER_KEY');
  const secrets = new SecretHeaderRing({ database, seal: new SecretSeal(masterKey), log: logger });
  const environments = new PythonEnvironments({ toolsFolder: join(config.home, 'tools'), env });
  const runtimeFolder = fileURLToPath(new URL('../../../../apps/python-runtime', import.meta.url));
  const python = (framework: 'torch' | 'tensorflow'): SpawnReplica => {
    const interpreter = env[`SLUICE_PYTHON_${framework.toUpperCase()}`] || undefined;
    return pythonServerSpawner({
      framework,
      runtimeFolder,
      environments,
      interpreter,
      times: config.replicas,
      env: serverEnv,
      onLine,
    });
  };
  const supervisor = new ReplicaSupervisor({
    database,
    host: `${hostname()}:${config.home}`,
    socketFolder: join(config.socketFolder, 'r'),
    spawnReplica: spawnByFormat({
      onnx: modelServerSpawner({
        entryPath: fileURLToPath(new URL('../../model-server/main.js', import.meta.url)),
        times: config.replicas,
        env: serverEnv,
        onLine,
      }),
      torchscript: python('torch'),
      'torch-export': python('torch'),
      'tensorflow-savedmodel': python('tensorflow'),
      keras: python('tensorflow'),
      remote: remoteSpawner({ secrets, outbound: remoteGuard(config) }),
      gguf: modelServerSpawner({
        entryPath: fileURLToPath(new URL('../../language-server/main.js', import.meta.url)),
        times: config.replicas,
        env: serverEnv,
        onLine,
      }),
    }),
    // The API, PostgreSQL and other models share the machine.
    threads: Math.max(1, Math.floor(grantedProcessors() / 2)),
    times: {
      startDeadlineMs: secondsToMs(config.replicas.startDeadlineSeconds),
      livenessMs: secondsToMs(config.replicas.livenessSeconds),
      drainDeadlineMs: secondsToMs(config.replicas.drainDeadlineSeconds),
    },
    onProblem: (problem) => logger.warn({ problem }, 'model servers'),
  });
  const reconcile = (): void =>
    void supervisor.reconcile().catch((error: unknown) => logger.error({ err: error }, 'reconciling failed'));
  const feed = new ChangeFeed(databaseUrl, 'sluice-supervisor', {
    onChange: (change) => {
      secrets.onChange(change);
      if (supervisor.concerns(change)) reconcile();
    },
    onConnected: () => {
      secrets.onConnected();
      reconcile();
    },
    onLost: (reason) => logger.warn({ reason }, 'the change feed is lost; model servers go on as they are'),
  });
  await secrets.load();
  await supervisor.start();
  await feed.start();
  return {
    stop: async () => {
      await feed[Symbol.asyncDispose]();
      await supervisor.stop();
      await secrets[Symbol.asyncDispose]();
    },
    // Model servers end by themselves when the channel to this process closes.
    kill: () => undefined,
  };
}
