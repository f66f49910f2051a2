import 'reflect-metadata';
import { days, secondsToMs } from '#libs/kernel';
import {
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectAlternativeNameExtension,
  X509CertificateGenerator,
} from '@peculiar/x509';
import { randomBytes, webcrypto, X509Certificate } from 'node:crypto';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import { join } from 'node:path';
import { openPrivateFolder } from '../private-folder.js';

/** As PEM. */
export interface KeyPair {
  certificate: string;
  privateKey: string;
}

/** The longest that all common clients take from a server. */
const validSeconds = days(825);
const renewedBeforeSeconds = days(30);
/** The clock of a client may be behind. */
const backdatedSeconds = days(1);
const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };

/** In `folder`, which only this user can enter. */
export const ownCertificateFiles = (folder: string): { certificate: string; privateKey: string } => ({
  certificate: join(folder, 'cert.pem'),
  privateKey: join(folder, 'key.pem'),
});

/**
 * The certificate of this installation, made at the first start and anew before it ends or when `names` have changed.
 * @param names hosts and addresses that clients call it by
 */
export async function ensureOwnCertificate(folder: string, names: readonly string[], now: Date): Promise<KeyPair> {
  const known = await readOwn(folder);
  if (known !== undefined && isGood(known, names, now)) return known;
  const made = await makeOwnCertificate(names, now);
  await mkdir(folder, { recursive: true });
  await openPrivateFolder(folder);
  const files = ownCertificateFiles(folder);
  // The key first: whoever sees the new certificate finds its key as well.
  await replace(files.privateKey, made.privateKey, 0o600);
  await replace(files.certificate, made.certificate, 0o644);
  return made;
}

/** Signed by itself, for nothing but serving. */
export async function makeOwnCertificate(names: readonly string[], now: Date): Promise<KeyPair> {
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const certificate = await X509CertificateGenerator.createSelfSigned(
    {
      serialNumber: `00${randomBytes(16).toString('hex')}`,
      name: 'CN=Sluice, O=made by this installation for itself',
      notBefore: after(now, -backdatedSeconds),
      notAfter: after(now, validSeconds - backdatedSeconds),
      signingAlgorithm: algorithm,
      keys,
      extensions: [
        new BasicConstraintsExtension(false, undefined, true),
        new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
        new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth]),
        new SubjectAlternativeNameExtension(
          names.map((name) => ({ type: isIP(name) === 0 ? ('dns' as const) : ('ip' as const), value: name })),
        ),
      ],
    },
    webcrypto,
  );
  const der = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey)).toString('base64');
  const lines = der.match(/.{1,64}/g)!.join('\n');
  return {
    certificate: `${certificate.toString('pem')}\n`,
    privateKey: `-----BEGIN PRIVATE KEY-----\n${lines}\n-----END PRIVATE KEY-----\n`,
  };
}

async function readOwn(folder: string): Promise<KeyPair | undefined> {
  const files = ownCertificateFiles(folder);
  try {
    const [certificate, privateKey] = await Promise.all([
      readFile(files.certificate, 'utf8'),
      readFile(files.privateKey, 'utf8'),
    ]);
    return { certificate, privateKey };
  } catch {
    return undefined;
  }
}

function isGood({ certificate }: KeyPair, names: readonly string[], now: Date): boolean {
  try {
    const read = new X509Certificate(certificate);
    const isLasting = read.validToDate > after(now, renewedBeforeSeconds);
    return (
      isLasting && names.every((name) => (isIP(name) === 0 ? read.checkHost(name) : read.checkIP(name)) !== undefined)
    );
  } catch {
    return false;
  }
}

async function replace(path: string, text: string, mode: number): Promise<void> {
  const beside = `${path}.${randomBytes(4).toString('hex')}`;
  await writeFile(beside, text, { mode });
  await rename(beside, path);
}

const after = (instant: Date, seconds: number): Date => new Date(instant.getTime() + secondsToMs(seconds));
