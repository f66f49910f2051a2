import { X509Certificate } from 'node:crypto';
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { loadConfig } from '../config.js';
import { ensureOwnCertificate, makeOwnCertificate, ownCertificateFiles } from './own-certificate.js';
import { certificateLoader, TlsCertificate } from './tls-certificate.js';

let folder: string;
const now = new Date('2026-01-01T00:00:00Z');
const names = ['localhost', '127.0.0.1', '::1', 'models.example'];
const daysLater = (days: number): Date => new Date(now.getTime() + days * 86_400_000);

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-tls-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

it('makes a certificate for the names that it is called by, with a key that only its owner reads', async () => {
  const own = join(folder, 'own');
  const { certificate, privateKey } = await ensureOwnCertificate(own, names, now);
  const read = new X509Certificate(certificate);
  expect(names.map((name) => read.checkHost(name) ?? read.checkIP(name))).toEqual(names);
  expect(read.checkHost('other.example')).toBeUndefined();
  expect(read.ca).toBe(false);
  expect(read.verify(read.publicKey)).toBe(true);
  expect(privateKey).toContain('PRIVATE KEY');
  expect((await stat(ownCertificateFiles(own).privateKey)).mode & 0o777).toBe(0o600);
  expect((await stat(own)).mode & 0o777).toBe(0o700);
});

it('keeps it until it nears its end or another name is asked for', async () => {
  const own = join(folder, 'kept');
  const first = await ensureOwnCertificate(own, names, now);
  expect(await ensureOwnCertificate(own, names, daysLater(790))).toEqual(first);
  const renewed = await ensureOwnCertificate(own, names, daysLater(800));
  expect(renewed.certificate).not.toBe(first.certificate);
  const wider = await ensureOwnCertificate(own, [...names, 'new.example'], daysLater(800));
  expect(new X509Certificate(wider.certificate).checkHost('new.example')).toBe('new.example');
  await writeFile(ownCertificateFiles(own).certificate, 'broken');
  expect((await ensureOwnCertificate(own, names, now)).certificate).toContain('BEGIN CERTIFICATE');
});

it('serves what is renewed in the files, and goes on with what it has when that cannot be used', async () => {
  const [one, two] = [await makeOwnCertificate(names, now), await makeOwnCertificate(names, now)];
  const files = { certificateFile: join(folder, 'c.pem'), privateKeyFile: join(folder, 'k.pem') };
  const put = async (certificate: string, privateKey: string): Promise<void> => {
    await writeFile(files.certificateFile, certificate);
    await writeFile(files.privateKeyFile, privateKey);
  };
  await put(one.certificate, one.privateKey);
  const config = loadConfig({
    SLUICE_TLS: 'files',
    SLUICE_TLS_CERT: files.certificateFile,
    SLUICE_TLS_KEY: files.privateKeyFile,
  });
  const problems: string[] = [];
  const load = certificateLoader(config, { now: () => now, monotonicMs: () => 0 })!;
  using served = await TlsCertificate.open({ load, onProblem: (problem) => problems.push(problem) });
  const renewals: string[] = [];
  served.onRenewed(({ certificate }) => renewals.push(certificate));

  await put(two.certificate, one.privateKey);
  await served.refresh();
  await served.refresh();
  expect(served.current).toEqual(one);
  expect(problems).toEqual([expect.stringMatching(/SLUICE_TLS_KEY: does not belong/)]);
  await put(two.certificate, two.privateKey);
  await served.refresh();
  expect(served.current).toEqual(two);
  expect(renewals).toEqual([two.certificate]);
  await rm(files.certificateFile);
  await served.refresh();
  expect(served.current).toEqual(two);
  expect(problems.at(-1)).toMatch(/SLUICE_TLS_CERT: .*ENOENT/);
});

it.each([
  [{ SLUICE_TLS: 'files' }, /SLUICE_TLS_CERT/],
  [{ SLUICE_TLS: 'files', SLUICE_TLS_CERT: 'a' }, /SLUICE_TLS_KEY/],
  [{ SLUICE_TLS: 'off', SLUICE_TLS_KEY: 'a' }, /SLUICE_TLS: must be files/],
  [{ SLUICE_TLS_CERT: 'a' }, /SLUICE_TLS: must be files/],
  [{ SLUICE_TLS: 'on' }, /SLUICE_TLS/],
  [{ SLUICE_CORS_ORIGINS: '*' }, /SLUICE_CORS_ORIGINS/],
  [{ SLUICE_CORS_ORIGINS: 'https://a.example/path' }, /SLUICE_CORS_ORIGINS/],
])('refuses settings that do not belong together: %j', (env, problem) => {
  expect(() => loadConfig(env)).toThrow(problem);
});

it('says which file is wrong and never what is in it', async () => {
  const { certificate } = await makeOwnCertificate(names, now);
  const secret = 'no-key-but-a-secret';
  const open = (pair: { certificate: string; privateKey: string }): Promise<TlsCertificate> =>
    TlsCertificate.open({ load: async () => pair, onProblem: () => undefined });
  await expect(open({ certificate, privateKey: secret })).rejects.toThrow(/SLUICE_TLS_KEY: holds no PEM private key/);
  await expect(open({ certificate, privateKey: secret })).rejects.not.toThrow(secret);
  await expect(open({ certificate: secret, privateKey: secret })).rejects.toThrow(/SLUICE_TLS_CERT: holds no PEM/);
});
