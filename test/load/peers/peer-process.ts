import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '#libs/platform';

const startDeadlineMs = 180_000;
const stopDeadlineMs = 20_000;
const probeEveryMs = 500;

/** Where a peer runs: a free port, and a folder that is its working directory and home and goes with it. */
export interface PeerPlace {
  folder: string;
  port: number;
}

export interface PeerLaunch {
  name: string;
  /** Comes first on the PATH. */
  binFolder: string;
  command(place: PeerPlace): Promise<readonly [program: string, ...args: string[]]>;
  env?: (place: PeerPlace) => Readonly<Record<string, string>>;
  /** Asks what the bench will ask. */
  request(place: PeerPlace): { url: string; headers: Readonly<Record<string, string>>; body: string };
}

export interface RunningPeer extends AsyncDisposable {
  target: ReturnType<PeerLaunch['request']>;
  /** What it answered first. */
  answer: any;
}

/** Starts a peer in a group of processes of its own and waits until it answers. @throws Error with its last output */
export async function startPeer(launch: PeerLaunch): Promise<RunningPeer> {
  const place = { folder: await mkdtemp(join(tmpdir(), 'sluice-peer-')), port: await freePort() };
  const [program, ...args] = await launch.command(place);
  const child = spawn(program, args, {
    cwd: place.folder,
    detached: true,
    env: {
      ...process.env,
      PATH: `${launch.binFolder}:${process.env['PATH'] ?? ''}`,
      HOME: place.folder,
      ...launch.env?.(place),
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const failedStart = once(child, 'error').then(([error]) => Promise.reject(error as Error));
  const output = tailOf(child);
  const stop = async (): Promise<void> => {
    await stopGroup(child);
    await rm(place.folder, { recursive: true, force: true });
  };
  const target = launch.request(place);
  try {
    const answer = await Promise.race([failedStart, firstAnswer(target, child)]);
    return { target, answer, [Symbol.asyncDispose]: stop };
  } catch (cause) {
    await stop();
    throw new Error(`${launch.name} did not answer: ${(cause as Error).message}\n${output()}`, { cause });
  }
}

async function firstAnswer({ url, headers, body }: RunningPeer['target'], child: ChildProcess): Promise<unknown> {
  const deadline = performance.now() + startDeadlineMs;
  let problem = 'no answer';
  while (performance.now() < deadline) {
    if (child.exitCode !== null) throw new Error(`it ended with code ${child.exitCode}`);
    const answer = await fetch(url, { method: 'POST', headers, body }).catch(() => undefined);
    if (answer?.status === 200) return answer.json();
    problem = answer === undefined ? problem : `${answer.status} ${await answer.text()}`;
    await new Promise((resolve) => setTimeout(resolve, probeEveryMs));
  }
  throw new Error(problem);
}

function tailOf(child: ChildProcess): () => string {
  let text = '';
  for (const stream of [child.stdout, child.stderr])
    stream?.on('data', (chunk: Buffer) => {
      text = (text + chunk.toString()).slice(-4_000);
    });
  return () => text;
}

/** Ends the whole group: several of the peers start workers that do not follow their parent. */
async function stopGroup(child: ChildProcess): Promise<void> {
  if (child.pid === undefined) return;
  const signalGroup = (signal: NodeJS.Signals): void => {
    try {
      process.kill(-child.pid!, signal);
    } catch {
      // The group is gone.
    }
  };
  signalGroup('SIGTERM');
  if (child.exitCode === null && child.signalCode === null) {
    const insist = setTimeout(() => signalGroup('SIGKILL'), stopDeadlineMs);
    await once(child, 'exit');
    clearTimeout(insist);
  }
  signalGroup('SIGKILL');
}
