import { isSluiceError, sluiceError } from '#libs/kernel';
import { DataSource, type EntityManager } from 'typeorm';
import { applicationAccess, type ApplicationAccess } from './application-access.js';
import { grantApplicationRole } from './application-role.js';
import { commitCondition } from './commit-condition.js';
import { ApiKeyEntity } from './entities/api-key.entity.js';
import { EndpointEntity, RouteEntity } from './entities/endpoint.entity.js';
import { ModelVersionEntity } from './entities/model-version.entity.js';
import { ReplicaEntity, ReplicaSetEntity } from './entities/replica.entity.js';
import { RolloutEntity, RolloutEventEntity } from './entities/rollout.entity.js';
import { migrations } from './migrations/index.js';
import { isOthersSchema } from './schema-owner.js';

/** A transaction in progress. Whatever is written through it commits or fails together. */
export type Tx = EntityManager;

export interface DatabaseSettings {
  url: string;
  /** Shown in pg_stat_activity. */
  applicationName: string;
  poolSize?: number;
  /** Every session with no more than the right to add to the proof, where the login can be so; see `isRestricted`. */
  isRestricted?: boolean;
}

const statementTimeoutMs = 15_000;
const connectTimeoutMs = 3_000;

/** The one door to PostgreSQL. It owns a pool; dispose of it at the end. */
export class Database implements AsyncDisposable {
  private constructor(
    private readonly source: DataSource,
    /** Do this connection's sessions begin with no more than the right to insert and select in the audit trail? */
    readonly isRestricted: boolean,
    /** By what this login could come to more all the same; empty: by nothing. */
    readonly wallGaps: readonly string[],
  ) {}

  /** Connects. @throws SLU_PLATFORM_DATABASE_DOWN, and SLU_PLATFORM_SETTING for a login without any rights */
  static async connect(settings: DatabaseSettings): Promise<Database> {
    const access = settings.isRestricted === true ? await restrict(settings.url) : unrestricted(settings.url);
    const source = new DataSource({
      type: 'postgres',
      url: access.url,
      applicationName: settings.applicationName,
      entities: [
        ApiKeyEntity,
        EndpointEntity,
        ModelVersionEntity,
        ReplicaEntity,
        ReplicaSetEntity,
        RolloutEntity,
        RolloutEventEntity,
        RouteEntity,
      ],
      migrations,
      migrationsTableName: 'schema_migrations',
      synchronize: false,
      logging: false,
      connectTimeoutMS: connectTimeoutMs,
      extra: { max: settings.poolSize ?? 8, statement_timeout: statementTimeoutMs, keepAlive: true },
      // An idle connection that Postgres closes is replaced at the next use; it must not end the process.
      poolErrorHandler: () => undefined,
    });
    try {
      await source.initialize();
    } catch (cause) {
      throw sluiceError('SLU_PLATFORM_DATABASE_DOWN', {}, { cause, retryAfterSeconds: 2 });
    }
    return new Database(source, access.isRestricted, access.wallGaps);
  }

  /**
   * Brings the schema to this release; safe when several processes start at once.
   * @param applicationLogin who serves with it, when that is another login
   * @returns names of what was applied
   * @throws SLU_PLATFORM_SETTING when there is something to apply and the schema belongs to another login
   */
  async migrate(applicationLogin?: string): Promise<string[]> {
    const runner = this.source.createQueryRunner();
    try {
      await runner.query('SELECT pg_advisory_lock($1)', [migrationLock]);
      if (await isOthersSchema(runner)) return [];
      const applied = await this.source.runMigrations({ transaction: 'each' });
      await grantApplicationRole(runner, applicationLogin);
      return applied.map((migration) => migration.name);
    } finally {
      await runner.query('SELECT pg_advisory_unlock($1)', [migrationLock]);
      await runner.release();
    }
  }

  /** One unit of work: commits when `work` returns, rolls back when it throws. */
  async run<T>(work: (tx: Tx) => Promise<T>): Promise<T> {
    return this.guard(() =>
      this.source.transaction(async (tx) => {
        const result = await work(tx);
        await commitCondition.getStore()?.(tx, result);
        return result;
      }),
    );
  }

  /** Reads (or single statements) outside a transaction. */
  async read<T>(work: (tx: Tx) => Promise<T>): Promise<T> {
    return this.guard(() => work(this.source.manager));
  }

  async query<Row>(sql: string, parameters: unknown[] = []): Promise<Row[]> {
    return this.guard(async () => {
      const result: unknown = await this.source.query(sql, parameters);
      return rowsOf<Row>(result);
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.source.isInitialized) await this.source.destroy();
  }

  private async guard<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (cause) {
      if (isConnectionLoss(cause)) throw sluiceError('SLU_PLATFORM_DATABASE_DOWN', {}, { cause, retryAfterSeconds: 2 });
      // PostgreSQL keeps no NUL in a text. Whoever sent one gets told, whichever field or path it came by.
      if (nulCodes.has(String((cause as { code?: unknown } | null)?.code)))
        throw sluiceError('SLU_REQUEST_MALFORMED', { what: 'a text must not have a NUL character in it' }, { cause });
      throw cause;
    }
  }
}

const unrestricted = (url: string): ApplicationAccess => ({
  url,
  isRestricted: false,
  wallGaps: ['is used without restriction'],
});

async function restrict(url: string): Promise<ApplicationAccess> {
  try {
    return await applicationAccess(url);
  } catch (cause) {
    if (isSluiceError(cause)) throw cause;
    throw sluiceError('SLU_PLATFORM_DATABASE_DOWN', {}, { cause, retryAfterSeconds: 2 });
  }
}

const migrationLock = 7_583_001;

// TypeORM answers rows for SELECT and [rows, count] for UPDATE and DELETE.
function rowsOf<Row>(result: unknown): Row[] {
  if (!Array.isArray(result)) return [];
  if (result.length === 2 && Array.isArray(result[0]) && typeof result[1] === 'number') return result[0] as Row[];
  return result as Row[];
}

const nulCodes = new Set(['22021', '22P05']);

const connectionLossCodes = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ENOENT',
  'ETIMEDOUT',
  'ENOTFOUND',
  '08000',
  '08001',
  '08003',
  '08006',
  '57P01',
  '57P02',
  '57P03',
  '53300',
]);

/** Is this failure the database being away (so a later try may pass), rather than a bad statement? */
export function isConnectionLoss(failure: unknown): boolean {
  if (typeof failure !== 'object' || failure === null) return false;
  const { code, message, driverError } = failure as { code?: unknown; message?: unknown; driverError?: unknown };
  if (typeof code === 'string' && connectionLossCodes.has(code)) return true;
  if (
    typeof message === 'string' &&
    /Connection terminated|timeout exceeded when trying to connect|Driver not Connected|not currently accepting connections/i.test(
      message,
    )
  )
    return true;
  return driverError !== undefined && driverError !== failure && isConnectionLoss(driverError);
}

/** @returns whether this failure is a unique violation, of the named constraint when one is given */
export function isUniqueViolation(failure: unknown, constraint?: string): boolean {
  const error = failure as { code?: string; constraint?: string; driverError?: unknown };
  if (error?.code === '23505') return constraint === undefined || error.constraint === constraint;
  return (
    error?.driverError !== undefined &&
    error.driverError !== failure &&
    isUniqueViolation(error.driverError, constraint)
  );
}
