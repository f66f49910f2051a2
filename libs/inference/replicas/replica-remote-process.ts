import { setTimeout as pause } from 'node:timers/promises';
import { targetsOf } from '../remote/remote-connections.js';
import type { RemoteSurroundings, RemoteTarget } from '../remote/remote-target.js';
import type { ReplicaLaunch, ReplicaProcess, SpawnReplica } from './replica-supervisor-process.js';

const firstRetryMs = 250;
/** One health check may fail by chance; the second one is shown. */
const shownFailures = 2;

/**
 * "Starts" a replica on a server that runs already: one for each target of the manifest, by the ordinal. It is ready when
 * the server says so, goes on asking, and ends when it is drained. Whether it gets traffic, each API sees for itself.
 */
export function remoteSpawner(surroundings: RemoteSurroundings): SpawnReplica {
  return (launch) => new RemoteProcess(targetOf(launch, surroundings));
}

/** @throws Error, whose message the row shows */
function targetOf(
  { manifest, model, version, ordinal }: ReplicaLaunch,
  surroundings: RemoteSurroundings,
): RemoteTarget {
  const { remote, inputs, outputs } = manifest;
  if (remote === undefined) throw new Error('the manifest has no section remote');
  const target = targetsOf({ model, version, inputs, outputs, remote }, surroundings)[ordinal];
  if (target === undefined)
    throw new Error(`the version has ${remote.targets.length} targets, and each is one replica`);
  return target;
}

class RemoteProcess implements ReplicaProcess {
  readonly pid = undefined;
  readonly address: string;
  readonly ready: Promise<void>;
  /** It may take as long as it likes: nothing of this machine waits with it. */
  readonly prepared: Promise<void>;
  readonly ended: Promise<string>;
  private readonly stop = new AbortController();
  private becomeReady!: () => void;
  private notify: ((notice: string | null) => void) | undefined;
  private notice: string | null = null;

  constructor(private readonly target: RemoteTarget) {
    this.address = target.address;
    this.prepared = this.ready = new Promise((resolve) => (this.becomeReady = resolve));
    this.ended = this.watch();
  }

  onNotice(listener: (notice: string | null) => void): void {
    this.notify = listener;
    if (this.notice !== null) listener(this.notice);
  }

  terminate(): void {
    this.stop.abort();
  }

  kill(): void {
    this.stop.abort();
  }

  private async watch(): Promise<string> {
    const { target, stop } = this;
    const { probeEveryMs } = target.limits;
    await using probe = target.openProbe();
    for (let failures = 0; !stop.signal.aborted;) {
      const problem = target.hindrance() ?? (await probe.problem());
      failures = problem === undefined ? 0 : failures + 1;
      if (problem === undefined) {
        this.becomeReady();
        this.tell(null);
      } else if (failures >= shownFailures) {
        this.tell(target.scrub(problem));
      }
      // A server that has just come up is found soon, one that is long away is asked no more often than a living one.
      const backOffMs = firstRetryMs * 2 ** Math.min(16, failures - 1);
      await pause(failures === 0 ? probeEveryMs : Math.min(probeEveryMs, backOffMs), undefined, {
        signal: stop.signal,
      }).catch(() => undefined);
    }
    return 'it was asked to end';
  }

  private tell(notice: string | null): void {
    if (notice === this.notice) return;
    this.notice = notice;
    this.notify?.(notice);
  }
}
