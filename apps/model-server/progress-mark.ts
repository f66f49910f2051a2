/**
 * What the serving thread tells the liveness thread: when it last got on with something, and how many runs it has begun and
 * not finished. It lies in shared memory, so that writing it costs nanoseconds and reading it needs no help of a thread that
 * may be stuck.
 */
export class ProgressMark {
  private readonly lastProgressNs: BigInt64Array;
  private readonly runsUnderWay: Int32Array;

  constructor(readonly memory: SharedArrayBuffer = new SharedArrayBuffer(markBytes)) {
    this.lastProgressNs = new BigInt64Array(memory, 0, 1);
    this.runsUnderWay = new Int32Array(memory, BigInt64Array.BYTES_PER_ELEMENT, 1);
  }

  /** To be called at each turn of the event loop that somebody would miss. */
  beat(): void {
    // This clock is the same in all threads of a process, which performance.now() is not.
    Atomics.store(this.lastProgressNs, 0, process.hrtime.bigint());
  }

  runBegins(): void {
    this.beat();
    Atomics.add(this.runsUnderWay, 0, 1);
  }

  runEnds(): void {
    Atomics.sub(this.runsUnderWay, 0, 1);
    this.beat();
  }

  read(): { silentMs: number; runs: number } {
    const silentNs = process.hrtime.bigint() - Atomics.load(this.lastProgressNs, 0);
    return { silentMs: Number(silentNs) / nanosecondsPerMs, runs: Atomics.load(this.runsUnderWay, 0) };
  }
}

const markBytes = BigInt64Array.BYTES_PER_ELEMENT + Int32Array.BYTES_PER_ELEMENT;
const nanosecondsPerMs = 1e6;
