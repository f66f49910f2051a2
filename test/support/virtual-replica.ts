import { ReplicaFailure, type Replica, type ReplicaMetadata, type Tensor } from '#libs/inference';
import type { VirtualTime } from './virtual-time.js';

export interface VirtualCall {
  /** How long it takes. */
  runMs?: number;
  /** `short`: it answers with a row too few. */
  fault?: 'none' | 'lost' | 'timeout' | 'short';
  /** After a loss: for how long the replica stays away. */
  deadMs?: number;
}

export interface VirtualRun {
  replica: string;
  startedMs: number;
  inputs: readonly Tensor[];
  fault: VirtualCall['fault'];
}

const hungUp = Object.assign(new Error('other side closed'), { code: 'UND_ERR_SOCKET' });
const refused = Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' });

/** A replica in virtual time whose faults are written down beforehand; `model` computes or throws. */
export class VirtualReplica implements Replica {
  private running = 0;
  mostAtOnce = 0;
  private deadUntilMs = -1;
  private life = 0;

  constructor(
    readonly id: string,
    private readonly time: VirtualTime,
    private readonly model: (inputs: readonly Tensor[]) => Tensor[],
    private readonly script: () => VirtualCall,
    private readonly runs: VirtualRun[],
  ) {}

  async metadata(): Promise<ReplicaMetadata> {
    return { name: 'virtual', version: '1', platform: 'virtual', inputs: [], outputs: [] };
  }

  async isReady(): Promise<boolean> {
    return this.isAlive;
  }

  async infer(inputs: readonly Tensor[]): Promise<Tensor[]> {
    const { runMs = 0, fault = 'none', deadMs = 1 } = this.script();
    this.runs.push({ replica: this.id, startedMs: this.time.nowMs, inputs, fault: this.isAlive ? fault : 'lost' });
    if (!this.isAlive) throw new ReplicaFailure('lost', 'the replica is gone', { cause: refused });
    const { life } = this;
    this.running += 1;
    this.mostAtOnce = Math.max(this.mostAtOnce, this.running);
    if (runMs > 0) await this.time.pause(runMs);
    this.running -= 1;
    // Whoever was on it when it died is lost as well.
    if (life !== this.life) throw new ReplicaFailure('lost', 'the replica died', { cause: hungUp });
    if (fault === 'lost') {
      this.life += 1;
      this.deadUntilMs = this.time.nowMs + deadMs;
      throw new ReplicaFailure('lost', 'the replica died', { cause: hungUp });
    }
    if (fault === 'timeout') throw new ReplicaFailure('timeout', 'no answer in time');
    const outputs = this.model(inputs);
    return fault === 'short' ? outputs.map(withoutLastRow) : outputs;
  }

  async [Symbol.asyncDispose](): Promise<void> {}

  private get isAlive(): boolean {
    return this.time.nowMs >= this.deadUntilMs;
  }
}

function withoutLastRow(tensor: Tensor): Tensor {
  const rows = tensor.shape[0]! - 1;
  const perRow = tensor.data.length / tensor.shape[0]!;
  return { ...tensor, shape: [rows, ...tensor.shape.slice(1)], data: tensor.data.slice(0, rows * perRow) };
}
