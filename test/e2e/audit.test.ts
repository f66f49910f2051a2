import { execFile } from 'node:child_process';
import { readdir, readFile, rm, writeFile, mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { SluiceInstance } from '../support/sluice-instance.js';

const run = promisify(execFile);
const cli = fileURLToPath(new URL('../../dist/apps/cli/main.js', import.meta.url));
let home: string;
let sluice: SluiceInstance;
let key: string;
beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'sluice-audit-'));
  sluice = await SluiceInstance.start({ home });
  key = (await readFile(join(home, 'admin-key'), 'utf8')).trim();
});
afterAll(async () => {
  await sluice?.[Symbol.asyncDispose]();
  await rm(home, { recursive: true, force: true });
});
const get = (path: string) =>
  fetch(`http://127.0.0.1:${sluice.port}${path}`, { headers: { authorization: `Bearer ${key}` } });

it('is clean from the first start on, rows of launcher, worker and API together', async () => {
  const found = (await (await get('/api/audit/verify')).json()) as {
    isClean: boolean;
    findings: object[];
    rows: number;
  };
  expect(found).toMatchObject({ isClean: true, findings: [] });
  const { rows } = (await (await get('/api/audit?limit=1000')).json()) as { rows: { action: string }[] };
  expect(rows.map(({ action }) => action)).toEqual(
    expect.arrayContaining(['key.create', 'model.register', 'audit.begin', 'audit.verify']),
  );
});

it('cannot be changed by the application, as its metric says', async () => {
  const metrics = await (await get('/metrics')).text();
  expect(metrics).toMatch(/^sluice_audit_restricted_role(\{.*\})? 1$/m);
  expect(metrics).toMatch(/^sluice_audit_checkpoint_failures(\{.*\})? 0$/m);
});

it('is verified by the command line with neither database nor master key, after the end of everything', async () => {
  const exported = join(home, 'export.ndjson');
  const publicKey = join(home, 'key.json');
  await writeFile(publicKey, await (await get('/api/audit/key')).text());
  await writeFile(exported, await (await get('/api/audit/export')).text());
  const { checkpoints: before } = await counts();
  await sluice.stop();
  const { checkpoints: after } = await counts();
  expect(after).toBeGreaterThan(before);
  const verify = (file: string) =>
    run(process.execPath, [cli, 'audit', 'verify', file, join(home, 'audit-checkpoints'), publicKey], {
      env: { PATH: process.env['PATH'] },
    });
  expect((await verify(exported)).stdout).toMatch(/CLEAN\n$/);
  await writeFile(
    exported,
    (await readFile(exported, 'utf8')).replace('"action":"model.register"', '"action":"model.archive"'),
  );
  await expect(verify(exported)).rejects.toMatchObject({ code: 1, stdout: expect.stringMatching(/FOUND row-changed/) });
});

async function counts(): Promise<{ checkpoints: number }> {
  const folder = join(home, 'audit-checkpoints');
  const texts = await Promise.all((await readdir(folder)).map((name) => readFile(join(folder, name), 'utf8')));
  return { checkpoints: texts.join('').split('\n').filter(Boolean).length };
}
