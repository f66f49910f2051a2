import { expect, it, vi } from 'vitest';
import type { ReplicaLedger, ReplicaRow } from './replica-supervisor-ledger.js';
import { ReplicaLife } from './replica-supervisor-life.js';
import type { ReplicaLaunch, ReplicaProcess } from './replica-supervisor-process.js';

const startDeadlineMs = 40;

/** A process whose steps the test takes. */
class PreparedProcess implements ReplicaProcess {
  readonly preparation = 'its environment is being made';
  pid: number | undefined;
  private readonly steps = {
    prepared: Promise.withResolvers<void>(),
    ready: Promise.withResolvers<void>(),
    ended: Promise.withResolvers<string>(),
  };
  readonly prepared = this.steps.prepared.promise;
  readonly ready = this.steps.ready.promise;
  readonly ended = this.steps.ended.promise;

  finishPreparation(pid: number | undefined): void {
    this.pid = pid;
    this.steps.prepared.resolve();
  }

  becomeReady(): void {
    this.steps.ready.resolve();
  }

  end(reason: string): void {
    this.steps.ended.resolve(reason);
  }

  terminate(): void {
    this.end('was ended');
  }

  kill(): void {
    this.end('was killed');
  }
}

function startLife(process: ReplicaProcess): { life: ReplicaLife; rows: ReplicaRow[] } {
  const rows: ReplicaRow[] = [];
  const ledger = { record: (row: ReplicaRow) => Promise.resolve(void rows.push(row)) } as unknown as ReplicaLedger;
  const launch = { replicaId: 'r', model: 'm', version: '1', socketPath: '/nowhere/r.sock', ordinal: 0, manifest: {} };
  const life = new ReplicaLife({
    launch: launch as ReplicaLaunch,
    host: 'here',
    ledger,
    spawn: () => process,
    times: {
      startDeadlineMs,
      drainGraceMs: 0,
      drainDeadlineMs: 1_000,
      memoryRowMs: 1_000,
      watchEveryMs: 1_000,
      livenessMs: 1_000,
    },
    onReady: () => undefined,
    onDeath: (_life, reason) => reason,
    onMemoryLimit: () => undefined,
  });
  return { life, rows };
}

it('says in its row what is prepared, and counts the time for the start only from then on', async () => {
  const process = new PreparedProcess();
  const { life, rows } = startLife(process);
  expect(rows).toMatchObject([{ state: 'starting', reason: 'its environment is being made', pid: null }]);
  // A deadline that counted from the beginning would have passed by now, on any machine.
  await new Promise((resolve) => setTimeout(resolve, startDeadlineMs * 3));
  expect(life.state).toBe('starting');
  process.finishPreparation(42);
  await vi.waitFor(() => expect(rows.at(-1)).toMatchObject({ state: 'failed' }));
  expect(rows[1]).toMatchObject({ state: 'starting', reason: null, pid: 42 });
  expect(rows.at(-1)?.reason).toContain('was not ready after');
});

it('fails with the reason when the preparation fails', async () => {
  const process = new PreparedProcess();
  const { rows } = startLife(process);
  process.end('the environment could not be made');
  process.finishPreparation(undefined);
  await vi.waitFor(() =>
    expect(rows.at(-1)).toMatchObject({ state: 'failed', reason: 'the environment could not be made' }),
  );
});

it('stops while it is prepared when it is drained', async () => {
  const process = new PreparedProcess();
  const { life, rows } = startLife(process);
  await life.drain();
  process.finishPreparation(undefined);
  expect(rows.at(-1)).toMatchObject({ state: 'stopped' });
});
