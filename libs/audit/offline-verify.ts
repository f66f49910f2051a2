import { z } from 'zod';
import { giveCheckpoint, parsedJson } from './audit-verifier.js';
import { ChainCheck, type Finding } from './chain-check.js';
import {
  checkpointSchema,
  isSigned,
  keyChangeSchema,
  tombstoneSchema,
  type Checkpoint,
  type KeyChange,
} from './checkpoint.js';
import { trustedKeys } from './trusted-keys.js';

const rowSchema = z.strictObject({
  kind: z.literal('row'),
  position: z.int().min(1),
  seq: z.int(),
  hash: z.string().regex(/^[0-9a-f]{64}$/),
  mac: z.string().regex(/^[0-9a-f]{64}$/),
  keyId: z.string(),
  event: z
    .strictObject({
      id: z.string(),
      at: z.string(),
      actor: z.string(),
      onBehalfOf: z.string().nullable(),
      action: z.string(),
      resource: z.string(),
      purpose: z.string().nullable(),
      outcome: z.string(),
      requestId: z.string().nullable(),
      tenantId: z.string().nullable(),
      detail: z.record(z.string(), z.unknown()),
    })
    .nullable(),
});
const headerSchema = z.object({ kind: z.literal('header'), format: z.literal('sluice-audit'), version: z.literal(1) });
const endSchema = z.object({ kind: z.literal('end'), checkpoint: checkpointSchema });
const exportLine = z.discriminatedUnion('kind', [headerSchema, keyChangeSchema, rowSchema, tombstoneSchema, endSchema]);

export interface OfflineSources {
  /** Lines of `GET /api/audit/export`; asked for twice, the first time for its keys and its end. */
  exportLines: () => AsyncIterable<string>;
  /** Texts of checkpoints from the second place. */
  checkpoints: () => AsyncIterable<string>;
  /** PEM of keys that are trusted. */
  publicKeys: readonly string[];
}

export interface OfflineVerification {
  isClean: boolean;
  findings: Finding[];
  isShortened: boolean;
  rows: number;
  count: number;
  checkpoints: number;
  /** Checkpoints that are younger than the export, and say nothing about it. */
  laterCheckpoints: number;
  vouchedFor: number;
  exportedAt: string | undefined;
}

/** Verifies an export by what is public: it needs neither the database nor the master key. */
export async function verifyOffline(sources: OfflineSources): Promise<OfflineVerification> {
  const { changes, end } = await frameOf(sources);
  const publicKeys = trustedKeys(sources.publicKeys, changes);
  const check = new ChainCheck({ publicKeys });
  const endKey = end === undefined ? undefined : publicKeys.get(end.keyId);
  const isEndGenuine = end !== undefined && endKey !== undefined && isSigned(end, endKey);
  if (end === undefined)
    check.find('export-incomplete', null, 'the export has no end: it was cut, or did not come whole');
  let later = 0;
  for await (const text of sources.checkpoints()) {
    const parsed = checkpointSchema.safeParse(parsedJson(text));
    // The time in a signed end cannot be set back to hide what came before it.
    if (isEndGenuine && parsed.success && parsed.data.at > end.at && parsed.data.count > end.count) later += 1;
    else giveCheckpoint(check, parsedJson(text), 'the folder of checkpoints');
  }
  if (end !== undefined) check.checkpoint(end);
  for await (const text of sources.exportLines()) checkLine(check, text);
  check.end();
  return {
    isClean: check.findings.length === 0,
    findings: check.findings,
    isShortened: check.isShortened,
    rows: check.rows,
    count: check.position,
    checkpoints: check.checkpoints,
    laterCheckpoints: later,
    vouchedFor: check.agreed,
    exportedAt: end?.at,
  };
}

async function frameOf(sources: OfflineSources): Promise<{ changes: KeyChange[]; end: Checkpoint | undefined }> {
  const changes: KeyChange[] = [];
  let end: Checkpoint | undefined;
  for await (const text of sources.exportLines()) {
    // Rows are by far the most lines, and are read the second time.
    if (text.startsWith('{"kind":"row"')) {
      end = undefined;
      continue;
    }
    const parsed = exportLine.safeParse(parsedJson(text));
    if (parsed.data?.kind === 'key') changes.push(parsed.data);
    end = parsed.data?.kind === 'end' ? parsed.data.checkpoint : undefined;
  }
  return { changes, end };
}

function checkLine(check: ChainCheck, text: string): void {
  const { data } = exportLine.safeParse(parsedJson(text));
  if (data === undefined) {
    check.find('row-changed', check.position, `after row ${check.position} the export has a line that cannot be read`);
    return;
  }
  if (data.kind === 'tombstone') check.tombstone(data);
  if (data.kind !== 'row') return;
  const { position, seq, hash, mac, keyId, event } = data;
  const link = { position, seq, keyId, hash: Buffer.from(hash, 'hex'), mac: Buffer.from(mac, 'hex') };
  check.row(link, event ?? undefined);
}
