import type { SluiceConfig } from '#libs/platform';
import { readFile } from 'node:fs/promises';
import { relative } from 'node:path';
import type { Service } from './embedded-services.js';

const sample = 'It takes courage to ask for help, and you are not alone.';
const body = JSON.stringify({ inputs: [{ name: 'text', datatype: 'BYTES', shape: [1], data: [sample] }] });

/** What a person needs next: the addresses, where the key is, and one line to paste with the answer it gives here. */
export async function welcome(config: SluiceConfig, adminKeyFile: string, temporal: Service): Promise<string> {
  const base = baseAddress(config);
  const keyPath = shortest(adminKeyFile);
  const answer = await tryOut(base, adminKeyFile);
  const lines = [
    '',
    `Sluice ${config.version} is ready.`,
    '',
    `  API          ${base}`,
    `  gRPC         ${baseAddress({ ...config, port: config.grpcPort }).slice('http://'.length)}`,
    `  docs         ${base}/docs   (any user name; the admin key is the password)`,
    `  Temporal UI  ${temporal.page ?? `that of the server at ${temporal.address}`}`,
    `  admin key    ${keyPath}`,
    `  logs         ${shortest(config.home)}/logs`,
  ];
  if (answer !== undefined) {
    lines.push(
      '',
      'Try it:',
      '',
      `  curl -s ${base}/v2/models/tone/infer -H "Authorization: Bearer $(cat ${quoted(keyPath)})" -H 'content-type: application/json' -d '${body}'`,
      '',
      'It answers:',
      '',
      `  ${answer}`,
    );
  }
  lines.push('', 'Ctrl-C drains and stops everything.', '');
  return lines.join('\n');
}

/** Where a caller on this machine reaches the API: an address that stands for all of them is none to call. */
export function baseAddress({ host, port }: Pick<SluiceConfig, 'host' | 'port'>): string {
  const reachable = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host;
  return `http://${reachable.includes(':') ? `[${reachable}]` : reachable}:${port}`;
}

/** @returns the answer of this very installation, or undefined when the sample endpoint is gone */
async function tryOut(base: string, adminKeyFile: string): Promise<string | undefined> {
  const key = (await readFile(adminKeyFile, 'utf8')).trim();
  const response = await fetch(`${base}/v2/models/tone/infer`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    body,
  }).catch(() => undefined);
  return response?.status === 200 ? response.text() : undefined;
}

function shortest(path: string): string {
  const fromHere = relative(process.cwd(), path);
  return fromHere !== '' && !fromHere.startsWith('..') ? fromHere : path;
}

const quoted = (path: string): string => (/^[\w./-]+$/.test(path) ? path : `'${path.replaceAll("'", `'\\''`)}'`);
