import { hours, secondsToMs, systemClock } from '#libs/kernel';
import type { Logger, SluiceConfig, Telemetry } from '#libs/platform';
import type { Database } from '#libs/store';
import { S3Place } from './adapters/s3/index.js';
import { FolderPlace } from './adapters/folder/index.js';
import { AppendReceipts } from './append-receipts.js';
import { auditExport } from './audit-export.js';
import { AuditKeys } from './audit-keys.js';
import { registerAuditMetrics } from './audit-metrics.js';
import { AuditPurge } from './audit-purge.js';
import { sealAuditRows } from './audit-trail.js';
import { AuditVerifier } from './audit-verifier.js';
import { Chainer } from './chainer.js';
import { CheckpointWriter } from './checkpoint-writer.js';
import { readKeyChanges, registerAuditKey } from './key-register.js';
import type { KeyChange } from './checkpoint.js';
import { LegalHolds } from './legal-holds.js';
import { RecentRows } from './recent-rows.js';
import type { CheckpointPlace } from './ports/checkpoint-place.js';

export interface AuditingSettings {
  database: Database;
  keys: AuditKeys;
  place: CheckpointPlace;
  log: Logger;
  telemetry?: Pick<Telemetry, 'meter'> | undefined;
}

const verifyEverySeconds = hours(1);

/** The trail as a serving process keeps it: it links, vouches, verifies and lets go. */
export class Auditing implements AsyncDisposable {
  private readonly timer: NodeJS.Timeout;

  private constructor(
    private readonly settings: AuditingSettings,
    private readonly stack: AsyncDisposableStack,
    readonly chainer: Chainer,
    readonly receipts: AppendReceipts,
    readonly checkpoints: CheckpointWriter,
    readonly verifier: AuditVerifier,
    readonly holds: LegalHolds,
  ) {
    this.timer = setInterval(() => void this.verifyRecent(), secondsToMs(verifyEverySeconds));
    this.timer.unref();
  }

  static async start(settings: AuditingSettings): Promise<Auditing> {
    const { database, keys, place, log } = settings;
    const stack = new AsyncDisposableStack();
    const receipts = stack.use(new AppendReceipts({ database, log }));
    const recent = new RecentRows();
    const chainer = stack.use(new Chainer({ database, keys, log, recent, onLinked: (ids) => receipts.linked(ids) }));
    await sealAuditRows(database, { keys, recent, onAppend: (rows) => receipts.note(rows) });
    await registerAuditKey(database, keys, log, systemClock.now());
    const checkpoints = stack.use(new CheckpointWriter({ database, keys, chainer, place, log }));
    const vanishedRows = (): number => receipts.vanished;
    const verifier = new AuditVerifier({ database, keys, place, chainer, vanishedRows });
    const purge = stack.use(new AuditPurge({ database, keys, log }));
    chainer.start();
    checkpoints.start();
    purge.start();
    if (settings.telemetry !== undefined)
      registerAuditMetrics(settings.telemetry.meter, {
        chainer,
        receipts,
        checkpoints,
        verifier,
        isRestricted: database.isRestricted,
        isWalledOff: database.wallGaps.length === 0,
        startedAt: systemClock.now(),
      });
    return new Auditing(settings, stack, chainer, receipts, checkpoints, verifier, new LegalHolds(database));
  }

  /** The public key of this process, and all that came before it. */
  async keys(): Promise<{ keyId: string; publicKey: string; changes: KeyChange[] }> {
    const { database, keys } = this.settings;
    return { keyId: keys.id, publicKey: keys.publicKey, changes: await database.read(readKeyChanges) };
  }

  export(): AsyncIterable<string> {
    const { database, keys } = this.settings;
    return auditExport({ database, keys, chainer: this.chainer });
  }

  get database(): Database {
    return this.settings.database;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.timer);
    await this.stack.disposeAsync();
  }

  /** What came since the last day or so, so that the metric says something without anybody asking. */
  private async verifyRecent(): Promise<void> {
    const { log } = this.settings;
    try {
      const found = await this.verifier.verify(Math.max(0, this.chainer.head.position - rowsVerifiedByItself));
      if (!found.isClean) log.error({ findings: found.findings.slice(0, 5) }, 'ALARM: the audit trail does not verify');
    } catch (err) {
      log.warn({ err }, 'the audit trail could not be verified now');
    }
  }
}

const rowsVerifiedByItself = 100_000;

/** The second place that the settings name. */
export function checkpointPlace(config: SluiceConfig): CheckpointPlace {
  const { auditCheckpoints, auditRetentionDays: lockDays, s3Endpoint: endpoint, s3Region: region } = config;
  const inBucket = /^s3:\/\/([^/]+)(?:\/(.*))?$/.exec(auditCheckpoints);
  if (inBucket?.[1] === undefined) return new FolderPlace(auditCheckpoints);
  return new S3Place({
    bucket: inBucket[1],
    prefix: (inBucket[2] ?? '').replace(/\/+$/, ''),
    lockDays,
    endpoint,
    region,
  });
}
