import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { access, chmod, chown, mkdir, readdir, rename, rm, stat } from 'node:fs/promises';
import { arch, platform } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import pg from 'pg';
import { freePort } from './free-port.js';
import { GuardedChild, withoutSecrets } from './guarded-child.js';
import { ensureLogin, keptPassword } from './embedded-postgres-login.js';

const run = promisify(execFile);

export interface EmbeddedPostgresSettings {
  /** Holds `data/` and the passwords; made when missing. */
  folder: string;
  onLine?: (line: string) => void;
  /** Tests trade safety on power loss for speed. */
  isDurable?: boolean;
  /** Unset: a free one. */
  port?: number;
}

interface Binaries {
  initdb: string;
  postgres: string;
}

/** Whom the server runs as. PostgreSQL refuses to run as root, so root lends it to the account `postgres`. */
interface Account {
  uid: number;
  gid: number;
}

const startDeadlineMs = 60_000;
const leftBehindMs = 15_000;

/**
 * A private PostgreSQL on a free port of the loopback interface, from the platform's `@embedded-postgres` package.
 * The package's own starter is not used: it takes over this process's SIGINT, and Sluice has to drain first.
 */
export class EmbeddedPostgres implements AsyncDisposable {
  private constructor(
    private readonly server: GuardedChild,
    readonly port: number,
    private readonly folder: string,
    private readonly password: string,
  ) {}

  static async start(settings: EmbeddedPostgresSettings): Promise<EmbeddedPostgres> {
    const binaries = await findBinaries();
    const account = process.getuid?.() === 0 ? await postgresAccount() : undefined;
    const dataFolder = join(settings.folder, 'data');
    await mkdir(settings.folder, { recursive: true });
    const password = await keptPassword(join(settings.folder, 'password'));
    if (!(await exists(join(dataFolder, 'PG_VERSION')))) {
      await initialise(binaries, dataFolder, settings, account);
    }
    const port = settings.port ?? (await freePort());
    const wasLeftBehind = await exists(join(dataFolder, 'postmaster.pid'));
    const deadline = performance.now() + leftBehindMs;
    for (;;) {
      const server = await startServer(binaries, dataFolder, port, account, settings);
      const postgres = new EmbeddedPostgres(server, port, settings.folder, password);
      try {
        await postgres.waitUntilAnswering();
        return postgres;
      } catch (error) {
        await server.stop();
        // After a crash the old server's own processes hold its shared memory until they have noticed.
        if (!wasLeftBehind || performance.now() > deadline) throw error;
        await sleep(300);
      }
    }
  }

  /** @returns the connection address of a database on this server as its superuser, with the password */
  url(database: string): string {
    return this.address('sluice', this.password, database);
  }

  /** Makes a role that owns nothing and may enter this database alone. @returns its connection address */
  async login(role: string, database: string): Promise<string> {
    const password = await keptPassword(join(this.folder, `password-${role}`));
    await using client = await this.admin();
    await ensureLogin(client, { role, password, database });
    return this.address(role, password, database);
  }

  get child(): GuardedChild {
    return this.server;
  }

  async createDatabase(name: string): Promise<void> {
    await using client = await this.admin();
    const found = await client.query('SELECT 1 FROM pg_database WHERE datname = $1', [name]);
    if (found.rowCount === 0) await client.query(`CREATE DATABASE ${pg.escapeIdentifier(name)}`);
  }

  async dropDatabase(name: string): Promise<void> {
    await using client = await this.admin();
    await client.query(`DROP DATABASE IF EXISTS ${pg.escapeIdentifier(name)} WITH (FORCE)`);
  }

  async stop(): Promise<void> {
    await this.server.stop();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  private address(user: string, password: string, database: string): string {
    // Said outright, since PGSSLMODE of the environment would count otherwise.
    return `postgres://${user}:${password}@127.0.0.1:${this.port}/${database}?sslmode=disable`;
  }

  private async admin(): Promise<pg.Client & AsyncDisposable> {
    const client = new pg.Client({ connectionString: this.url('postgres'), connectionTimeoutMillis: 2_000 });
    client.on('error', () => undefined);
    await client.connect();
    return Object.assign(client, { [Symbol.asyncDispose]: () => client.end() });
  }

  private async waitUntilAnswering(): Promise<void> {
    const deadline = performance.now() + startDeadlineMs;
    for (;;) {
      if (!this.server.isAlive) throw new Error(`PostgreSQL ended while starting (${await this.server.exited()})`);
      try {
        await using client = await this.admin();
        await client.query('SELECT 1');
        return;
      } catch (error) {
        if (performance.now() > deadline) throw error;
        await sleep(40);
      }
    }
  }
}

async function startServer(
  binaries: Binaries,
  dataFolder: string,
  port: number,
  account: Account | undefined,
  settings: EmbeddedPostgresSettings,
): Promise<GuardedChild> {
  const flags = {
    listen_addresses: '127.0.0.1',
    port: String(port),
    unix_socket_directories: '',
    // Small, since it shares the machine with the models; an operator who needs more brings a DATABASE_URL.
    shared_buffers: '64MB',
    max_connections: '100',
    ...(settings.isDurable === false ? { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off' } : {}),
  };
  const args = ['-D', dataFolder, ...Object.entries(flags).flatMap(([name, value]) => ['-c', `${name}=${value}`])];
  const lent = await lend(account, binaries.postgres, args, dataFolder);
  return GuardedChild.start({
    ...lent,
    cwd: '/',
    stopSignal: 'SIGINT',
    hardStopSignal: 'SIGQUIT',
    pidFile: join(settings.folder, 'postgres.pid'),
    program: 'postgres',
    onLine: settings.onLine,
  });
}

/** In a folder beside, which takes its place when it is whole: a start that is cut off leaves nothing that looks finished. */
async function initialise(
  binaries: Binaries,
  dataFolder: string,
  settings: EmbeddedPostgresSettings,
  account: Account | undefined,
): Promise<void> {
  const leftovers = (await readdir(settings.folder)).filter(
    (name) => name.startsWith(draftPrefix) || name === basename(dataFolder),
  );
  for (const name of leftovers) await rm(join(settings.folder, name), { recursive: true, force: true });
  const draft = join(settings.folder, `${draftPrefix}${randomBytes(4).toString('hex')}`);
  await mkdir(draft, { recursive: true, mode: 0o700 });
  const passwordFile = join(settings.folder, 'password');
  if (account !== undefined) {
    await chown(draft, account.uid, account.gid);
    await chown(passwordFile, account.uid, account.gid);
  }
  const args = [
    `--pgdata=${draft}`,
    '--auth=scram-sha-256',
    '--username=sluice',
    `--pwfile=${passwordFile}`,
    '--encoding=UTF8',
    '--locale=C',
    ...(settings.isDurable === false ? ['--no-sync'] : []),
  ];
  const lent = await lend(account, binaries.initdb, args, draft);
  try {
    await run(lent.command, lent.args, { cwd: '/', uid: lent.uid, gid: lent.gid, env: withoutSecrets(process.env) });
    await rename(draft, dataFolder);
  } catch (error) {
    await rm(draft, { recursive: true, force: true });
    const stderr = (error as { stderr?: string }).stderr ?? '';
    throw new Error(`PostgreSQL could not be initialised in ${dataFolder}: ${stderr.trim()}`, { cause: error });
  }
}

const draftPrefix = 'data.';

interface Lent {
  command: string;
  args: string[];
  uid?: number;
  gid?: number;
}

/**
 * Runs a program as the lent account. A checkout below a private folder (mode 0700) is out of that account's reach;
 * there `setpriv` lends it the one capability to pass through folders.
 */
async function lend(account: Account | undefined, command: string, args: string[], dataFolder: string): Promise<Lent> {
  if (account === undefined) return { command, args };
  if ((await isReachable(command)) && (await isReachable(dataFolder))) return { command, args, ...account };
  const capability = '+dac_override';
  return {
    command: 'setpriv',
    args: [
      `--reuid=${account.uid}`,
      `--regid=${account.gid}`,
      '--clear-groups',
      // initdb asks by access(2), which forgets the capabilities of everybody but root unless this bit is set.
      '--securebits=+no_setuid_fixup',
      `--inh-caps=${capability}`,
      `--ambient-caps=${capability}`,
      command,
      ...args,
    ],
  };
}

/** May everybody pass through all folders above this path? */
async function isReachable(path: string): Promise<boolean> {
  for (let folder = dirname(path); ; folder = dirname(folder)) {
    if (((await stat(folder)).mode & 0o001) === 0) return false;
    if (folder === dirname(folder)) return true;
  }
}

async function findBinaries(): Promise<Binaries> {
  const name = `@embedded-postgres/${platform()}-${arch()}`;
  try {
    const binaries = (await import(name)) as Binaries;
    for (const file of [binaries.initdb, binaries.postgres]) await chmod(file, 0o755).catch(() => undefined);
    return binaries;
  } catch (cause) {
    throw new Error(
      `there is no embedded PostgreSQL for ${platform()}-${arch()} (package ${name}); set DATABASE_URL to a PostgreSQL 15 or newer`,
      { cause },
    );
  }
}

async function postgresAccount(): Promise<Account> {
  const id = async (flag: '-u' | '-g'): Promise<number> => Number((await run('id', [flag, 'postgres'])).stdout.trim());
  try {
    return { uid: await id('-u'), gid: await id('-g') };
  } catch {
    await run('useradd', ['--system', '--user-group', '--no-create-home', '--shell', '/usr/sbin/nologin', 'postgres']);
    return { uid: await id('-u'), gid: await id('-g') };
  }
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
