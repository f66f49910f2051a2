import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

export interface LoadRun {
  url: string;
  headers: Readonly<Record<string, string>>;
  body: string | Buffer;
  connections: number;
  seconds: number;
}

export interface LoadResult {
  requestsPerSecond: number;
  p50Ms: number;
  p99Ms: number;
  /** Answers other than 2xx, and connections that failed. */
  failures: number;
  requests: number;
}

/** Drives one address as hard as it answers, with `wrk` (in C, so that it takes little of the processor). */
export async function load(settings: LoadRun): Promise<LoadResult> {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-load-'));
  try {
    const script = join(folder, 'post.lua');
    await writeFile(script, luaScript(settings));
    const { stdout } = await run('wrk', [
      '-t1',
      `-c${settings.connections}`,
      `-d${settings.seconds}s`,
      '--timeout=10s',
      '-s',
      script,
      settings.url,
    ]);
    const line = stdout.split('\n').find((each) => each.startsWith('RESULT '));
    if (line === undefined) throw new Error(`wrk printed no result:\n${stdout}`);
    const [requests, microseconds, p50, p99, status, socket] = line.slice('RESULT '.length).split(' ').map(Number);
    return {
      requests: requests!,
      requestsPerSecond: requests! / (microseconds! / 1e6),
      p50Ms: p50! / 1_000,
      p99Ms: p99! / 1_000,
      failures: status! + socket!,
    };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Makes sure that `wrk` is there: on the PATH, or from Debian's packages where that is allowed. */
export async function ensureLoadClient(): Promise<void> {
  try {
    await run('sh', ['-c', 'command -v wrk']);
  } catch {
    try {
      await run('sh', ['-c', 'apt-get update -qq && apt-get install -y --no-install-recommends wrk']);
    } catch (cause) {
      throw new Error('the bench needs the load client wrk: install the package wrk', { cause });
    }
  }
}

function luaScript({ headers, body }: Pick<LoadRun, 'headers' | 'body'>): string {
  return [
    'wrk.method = "POST"',
    `wrk.body = ${quoted(body)}`,
    ...Object.entries(headers).map(([name, value]) => `wrk.headers[${quoted(name)}] = ${quoted(value)}`),
    'done = function(summary, latency, requests)',
    '  local socket = summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout',
    '  io.write(string.format("RESULT %d %d %d %d %d %d\\n", summary.requests, summary.duration,',
    '    latency:percentile(50), latency:percentile(99), summary.errors.status, socket))',
    'end',
  ].join('\n');
}

/** Any bytes as a text literal of Lua: three decimal digits behind a backslash name a byte. */
function quoted(content: string | Buffer): string {
  const bytes = [...Buffer.from(content)];
  const isPlain = (byte: number): boolean => byte >= 0x20 && byte < 0x7f && byte !== 0x22 && byte !== 0x5c;
  const literal = bytes.map((byte) =>
    isPlain(byte) ? String.fromCharCode(byte) : `\\${String(byte).padStart(3, '0')}`,
  );
  return `"${literal.join('')}"`;
}
