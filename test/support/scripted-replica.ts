import { ReplicaFailure, type Replica, type ReplicaCall, type ReplicaMetadata, type Tensor } from '#libs/inference';
import { setImmediate as tick } from 'node:timers/promises';

export interface ScriptedCall {
  /** How many turns of the event loop it takes. */
  ticks?: number;
  fault?: 'none' | 'lost' | 'timeout' | 'model';
  /** After a loss: for how many turns the replica stays away. */
  deadTicks?: number;
}

// As undici reports a server that is not there, and one that went away under a call.
const refused = Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' });
const hungUp = Object.assign(new Error('other side closed'), { code: 'UND_ERR_SOCKET' });

/** A replica in memory whose faults are written down beforehand; `model` computes or throws. */
export class ScriptedReplica implements Replica {
  readonly runs: (readonly Tensor[])[] = [];
  /** Runs, and what was sent when nobody was there. */
  readonly attempts: (readonly Tensor[])[] = [];
  readonly calls: ReplicaCall[] = [];
  mostAtOnce = 0;
  isAlive = true;
  isDisposed = false;
  private running = 0;
  private life = 0;

  constructor(
    readonly id: string,
    private readonly model: (inputs: readonly Tensor[]) => Tensor[],
    private readonly script: (call: number) => ScriptedCall = () => ({}),
  ) {}

  async metadata(): Promise<ReplicaMetadata> {
    return { name: 'scripted', version: '1', platform: 'scripted', inputs: [], outputs: [] };
  }

  async isReady(): Promise<boolean> {
    return this.isAlive;
  }

  async infer(inputs: readonly Tensor[], call: ReplicaCall): Promise<Tensor[]> {
    this.attempts.push(inputs);
    if (!this.isAlive) throw new ReplicaFailure('lost', 'the replica is gone', { cause: refused });
    const { life } = this;
    const { ticks = 0, fault = 'none', deadTicks = 1 } = this.script(this.runs.length);
    this.runs.push(inputs);
    this.calls.push(call);
    this.running += 1;
    this.mostAtOnce = Math.max(this.mostAtOnce, this.running);
    for (let count = 0; count < ticks && life === this.life; count += 1) await tick();
    this.running -= 1;
    // Whoever was on it when it died is lost as well.
    if (life !== this.life) throw new ReplicaFailure('lost', 'the replica died', { cause: hungUp });
    if (fault === 'lost') {
      this.die(deadTicks);
      throw new ReplicaFailure('lost', 'the replica died', { cause: hungUp });
    }
    if (fault !== 'none') throw new ReplicaFailure(fault, `scripted ${fault}`);
    return this.model(inputs);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.isDisposed = true;
  }

  die(deadTicks: number): void {
    this.life += 1;
    this.isAlive = false;
    void this.reviveAfter(deadTicks);
  }

  private async reviveAfter(deadTicks: number): Promise<void> {
    for (let count = 0; count < deadTicks; count += 1) await tick();
    this.isAlive = true;
  }
}
