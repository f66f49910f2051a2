import { systemClock, type Clock } from '#libs/kernel';
import type { Database } from '#libs/store';
import type { StoredEvent } from './audit-event.js';
import type { AuditKeys } from './audit-keys.js';
import { chainParts, type ChainPart } from './chain-reader.js';
import { headOf } from './chain-block.js';
import type { Chainer } from './chainer.js';
import { signedCheckpoint, type Checkpoint, type KeyChange, type Tombstone } from './checkpoint.js';
import { readKeyChanges } from './key-register.js';

/** A line of an export, which is newline-delimited JSON: header, keys, rows and tombstones in order, end. */
export type ExportLine =
  | { kind: 'header'; format: 'sluice-audit'; version: 1 }
  | KeyChange
  | { kind: 'row'; position: number; seq: number; hash: string; mac: string; keyId: string; event: StoredEvent | null }
  | Tombstone
  | { kind: 'end'; checkpoint: Checkpoint };

export interface AuditExportSettings {
  database: Database;
  keys: AuditKeys;
  chainer: Pick<Chainer, 'flush'>;
  clock?: Clock;
}

/** The whole chain as it is now, with a signed end: enough to verify it anywhere. */
export async function* auditExport(settings: AuditExportSettings): AsyncIterable<string> {
  const { database, keys, chainer, clock = systemClock } = settings;
  await chainer.flush();
  const head = await database.read(headOf);
  const end = signedCheckpoint(keys, head, clock.now());
  yield line({ kind: 'header', format: 'sluice-audit', version: 1 });
  for (const change of await database.read(readKeyChanges)) yield line(change);
  for await (const part of chainParts(database, 0, head.position)) {
    const exported = lineOf(part);
    if (exported !== undefined) yield line(exported);
  }
  yield line({ kind: 'end', checkpoint: end });
}

function lineOf(part: ChainPart): ExportLine | undefined {
  if (part.kind === 'tombstone') return part.stone;
  const { link, event } = part;
  const { position, seq, hash, mac, keyId } = link;
  return {
    kind: 'row',
    position,
    seq,
    hash: hash.toString('hex'),
    mac: mac.toString('hex'),
    keyId,
    event: event ?? null,
  };
}

const line = (value: ExportLine): string => `${JSON.stringify(value)}\n`;
