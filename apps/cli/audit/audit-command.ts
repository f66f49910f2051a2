import { verifyOffline, type OfflineVerification } from '#libs/audit';
import { createReadStream } from 'node:fs';
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

const usage = `usage: npm run audit -- verify <export> <checkpoints> <public key>

  export        what GET /api/audit/export gave
  checkpoints   the folder of checkpoints, or a copy of the bucket; files with a checkpoint or one per line
  public key    PEM, or what GET /api/audit/key gave; keep your own copy from an earlier day
`;

/** @returns the exit code: 0 clean, 1 something was found, 2 it could not be verified */
export async function auditCommand([verb, exported, checkpoints, publicKey]: readonly string[]): Promise<number> {
  if (verb !== 'verify' || exported === undefined || checkpoints === undefined || publicKey === undefined) {
    process.stderr.write(usage);
    return 2;
  }
  try {
    const found = await verifyOffline({
      exportLines: () => linesOf(exported),
      checkpoints: () => linesBelow(checkpoints),
      publicKeys: [await keyOf(publicKey)],
    });
    process.stdout.write(reportOf(found));
    return found.isClean ? 0 : 1;
  } catch (failure) {
    process.stderr.write(`it could not be verified: ${failure instanceof Error ? failure.message : String(failure)}\n`);
    return 2;
  }
}

function reportOf(found: OfflineVerification): string {
  const findings = found.findings.map(({ kind, problem }) => `FOUND ${kind}: ${problem}\n`).join('');
  const more = found.isShortened ? 'and more that is not listed\n' : '';
  const later = found.laterCheckpoints > 0 ? `${found.laterCheckpoints} checkpoints are younger than the export\n` : '';
  const reach = `${found.rows} rows compared, ${found.count} in the chain, ${found.checkpoints} checkpoints; vouched for up to row ${found.vouchedFor}`;
  const until = found.exportedAt === undefined ? '' : `; exported at ${found.exportedAt}`;
  return `${findings}${more}${later}${reach}${until}\n${found.isClean ? 'CLEAN' : 'NOT CLEAN'}\n`;
}

async function* linesOf(file: string): AsyncIterable<string> {
  const lines = createInterface({ input: createReadStream(file), crlfDelay: Infinity });
  for await (const line of lines) if (line.trim() !== '') yield line;
}

async function* linesBelow(path: string): AsyncIterable<string> {
  if (!(await stat(path)).isDirectory()) {
    yield* linesOf(path);
    return;
  }
  const names = await readdir(path, { recursive: true });
  for (const name of names.filter((each) => /\.(ndjson|json)$/.test(each)).sort()) yield* linesOf(join(path, name));
}

async function keyOf(file: string): Promise<string> {
  const text = await readFile(file, 'utf8');
  if (!text.trimStart().startsWith('{')) return text;
  return (JSON.parse(text) as { publicKey: string }).publicKey;
}
