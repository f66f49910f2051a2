import type { Meter } from '@opentelemetry/api';
import type { AppendReceipts } from './append-receipts.js';
import type { AuditVerifier } from './audit-verifier.js';
import type { Chainer } from './chainer.js';
import type { CheckpointWriter } from './checkpoint-writer.js';
import type { PayloadRecorder } from './payloads/index.js';

export interface AuditMetricsSources {
  chainer: Chainer;
  receipts: AppendReceipts;
  checkpoints: CheckpointWriter;
  verifier: AuditVerifier;
  isRestricted: boolean;
  isWalledOff: boolean;
  startedAt: Date;
}

/** What was to be logged of payloads, and was not: the queue was full, or it could not be written. */
export function registerPayloadMetrics(meter: Meter, recorder: Pick<PayloadRecorder, 'droppedPayloads'>): void {
  meter
    .createObservableCounter('sluice_audit_payloads_dropped', {
      description: 'payloads of open windows that were not logged, since the start',
    })
    .addCallback((result) => result.observe(recorder.droppedPayloads));
}

/** What an operator watches of the trail. */
export function registerAuditMetrics(meter: Meter, sources: AuditMetricsSources): void {
  const gauge = (name: string, description: string, read: () => number | undefined): void =>
    meter.createObservableGauge(`sluice_audit_${name}`, { description }).addCallback((result) => {
      const value = read();
      if (value !== undefined) result.observe(value);
    });
  const { chainer, receipts, checkpoints, verifier, isRestricted, isWalledOff, startedAt } = sources;
  gauge('unchained_rows', 'rows that this process appended and has not yet seen in the chain', () => receipts.waiting);
  gauge('chain_rows', 'rows of the chain, purged ones included', () => chainer.head.position);
  gauge('foreign_rows', 'rows that bear no seal of Sluice and were not linked', () => chainer.foreignRows);
  gauge('vanished_rows', 'rows that were removed before they were linked', () => receipts.vanished);
  gauge('checkpoint_age_seconds', 'since the last checkpoint reached its second place, or since the start', () =>
    Math.max(0, (Date.now() - (checkpoints.lastWrittenAt ?? startedAt).getTime()) / 1_000),
  );
  gauge('checkpoint_failures', 'checkpoints that could not be written, since the start', () => checkpoints.failures);
  gauge('verification_findings', 'what the last verification found; 0 is clean', () => verifier.last?.findings.length);
  gauge(
    'restricted_role',
    '1 when the sessions of the application begin with the right to insert and select alone',
    () => (isRestricted ? 1 : 0),
  );
  gauge('database_wall', '1 when the login of the application has no way to more than to insert and select', () =>
    isWalledOff ? 1 : 0,
  );
}
