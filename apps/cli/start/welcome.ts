import { isOwnMachine, ownCertificateFiles, type SluiceConfig } from '#libs/platform';
import { readFile } from 'node:fs/promises';
import { relative } from 'node:path';
import type { Service } from './embedded-services.js';
import type { OwnApi } from './own-api.js';

const sample = 'It takes courage to ask for help, and you are not alone.';
const body = JSON.stringify({ inputs: [{ name: 'text', datatype: 'BYTES', shape: [1], data: [sample] }] });

/** What a person needs next: the addresses, where the key is, and one line to paste with the answer it gives here. */
export async function welcome(
  config: SluiceConfig,
  adminKeyFile: string,
  temporal: Service,
  api: OwnApi,
  wallGaps: readonly string[],
): Promise<string> {
  const { base } = api;
  const keyPath = shortest(adminKeyFile);
  const answer = await tryOut(api, adminKeyFile);
  const trust = trusted(config);
  const lines = [
    '',
    `Sluice ${config.version} is ready.`,
    '',
    `  API          ${base}`,
    `  gRPC         ${baseAddress({ ...config, port: config.grpcPort }).split('://')[1]}${config.tls.kind === 'off' ? '' : '   (TLS, the same certificate)'}`,
    `  docs         ${base}/docs   (any user name; the admin key is the password)`,
    `  Temporal UI  ${temporal.page ?? `that of the server at ${temporal.address}`}`,
    `  admin key    ${keyPath}`,
    `  logs         ${shortest(config.home)}/logs`,
  ];
  if (config.tls.kind === 'self-signed')
    lines.splice(
      -1,
      0,
      `  certificate  ${shortest(ownCertificateFiles(config.tls.folder).certificate)}   (made here; give it to clients)`,
    );
  if (answer !== undefined) {
    lines.push(
      '',
      'Try it:',
      '',
      `  curl -s ${trust}${base}/v2/models/tone/infer -H "Authorization: Bearer $(cat ${quoted(keyPath)})" -H 'content-type: application/json' -d '${body}'`,
      '',
      'It answers:',
      '',
      `  ${answer}`,
    );
  }
  if (isOpenWithoutTls(config))
    lines.push(
      '',
      `WARNING: the API listens on ${config.host} without TLS: keys and data cross the network in the clear.`,
      'Set SLUICE_TLS=self-signed or SLUICE_TLS=files; or SLUICE_TLS=off when a proxy in front of it speaks TLS.',
    );
  if (wallGaps.length > 0)
    lines.push(
      '',
      `WARNING: the audit trail has no wall: the login of DATABASE_URL ${wallGaps[0]}, so whoever runs SQL in the API could change it.`,
      'Give the application a login of its own: docs/how-to/wall-off-the-database.md',
    );
  lines.push('', 'Ctrl-C drains and stops everything.', '');
  return lines.join('\n');
}

/** Where a caller on this machine reaches the API: an address that stands for all of them is none to call. */
export function baseAddress({ host, port, tls }: Pick<SluiceConfig, 'host' | 'port' | 'tls'>): string {
  const reachable = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host;
  return `${tls.kind === 'off' ? 'http' : 'https'}://${reachable.includes(':') ? `[${reachable}]` : reachable}:${port}`;
}

/** @returns the answer of this very installation, or undefined when the sample endpoint is gone */
async function tryOut(api: OwnApi, adminKeyFile: string): Promise<string | undefined> {
  const key = (await readFile(adminKeyFile, 'utf8')).trim();
  const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json' };
  const answer = await api.ask('/v2/models/tone/infer', { headers, body });
  return answer?.status === 200 ? answer.body : undefined;
}

/** What curl needs to trust a certificate that nobody else has signed. */
const trusted = ({ tls }: SluiceConfig): string =>
  tls.kind === 'self-signed' ? `--cacert ${quoted(shortest(ownCertificateFiles(tls.folder).certificate))} ` : '';

const isOpenWithoutTls = ({ host, tls, isPlainHttpChosen }: SluiceConfig): boolean =>
  tls.kind === 'off' && !isPlainHttpChosen && !isOwnMachine(host);

function shortest(path: string): string {
  const fromHere = relative(process.cwd(), path);
  return fromHere !== '' && !fromHere.startsWith('..') ? fromHere : path;
}

const quoted = (path: string): string => (/^[\w./-]+$/.test(path) ? path : `'${path.replaceAll("'", `'\\''`)}'`);
