import type { Database, ReplicaState, RouteArm } from '#libs/store';
import { randomUUID } from 'node:crypto';

/** Writes rows as the control plane does, for tests that need the outcome and not the way to it. */
export class ServingRowsWriter {
  constructor(private readonly database: Database) {}

  async version(model: string, version: string, manifest: object = {}): Promise<void> {
    const whole = {
      schemaVersion: 1,
      name: model,
      version,
      format: 'onnx',
      files: [{ path: 'model.onnx', sha256: '0'.repeat(64) }],
      inputs: [{ name: 'x', datatype: 'FP32', shape: [-1, 1] }],
      outputs: [{ name: 'y', datatype: 'FP32', shape: [-1, 1] }],
      ...manifest,
    };
    await this.database.query(
      `INSERT INTO model_versions (model, version, format, manifest, content_digest, artifact_path, state, registered_by)
       VALUES ($1, $2, 'onnx', $3, $4, '/nowhere', 'registered', 'test')`,
      [model, version, whole, `digest of ${model}/${version}`],
    );
  }

  async endpoint(name: string, model: string, arms: RouteArm[]): Promise<void> {
    await this.database.run(async (tx) => {
      await tx.query(`INSERT INTO endpoints (name, model, revision, created_by) VALUES ($1, $2, 1, 'test')`, [
        name,
        model,
      ]);
      await tx.query(
        `INSERT INTO routes (endpoint, revision, arms, reason, made_by) VALUES ($1, 1, $2, 'test', 'test')`,
        [name, JSON.stringify(arms)],
      );
    });
  }

  /** @returns the new revision */
  async route(endpoint: string, arms: RouteArm[]): Promise<number> {
    return this.database.run(async (tx) => {
      const [row] = (await tx.query('SELECT revision + 1 AS next FROM endpoints WHERE name = $1 FOR UPDATE', [
        endpoint,
      ])) as { next: number }[];
      await tx.query(
        `INSERT INTO routes (endpoint, revision, arms, reason, made_by) VALUES ($1, $2, $3, 'test', 'test')`,
        [endpoint, row!.next, JSON.stringify(arms)],
      );
      await tx.query('UPDATE endpoints SET revision = $2 WHERE name = $1', [endpoint, row!.next]);
      return row!.next;
    });
  }

  async desire(model: string, version: string, desired: number): Promise<void> {
    await this.database.query(
      `INSERT INTO replica_sets (model, version, desired) VALUES ($1, $2, $3)
       ON CONFLICT (model, version) DO UPDATE SET desired = EXCLUDED.desired`,
      [model, version, desired],
    );
  }

  async replica(model: string, version: string, state: ReplicaState = 'ready'): Promise<string> {
    const id = randomUUID();
    await this.database.query(
      `INSERT INTO replicas (id, model, version, host, address, state, ended_at)
       VALUES ($1, $2, $3, 'test', $4, $5, CASE WHEN $5 IN ('stopped', 'failed') THEN now() END)`,
      [id, model, version, `unix:/nowhere/${id}`, state],
    );
    return id;
  }

  async replicaState(id: string, state: ReplicaState): Promise<void> {
    await this.database.query(
      `UPDATE replicas SET state = $2, ended_at = CASE WHEN $2 IN ('stopped', 'failed') THEN now() END WHERE id = $1`,
      [id, state],
    );
  }
}
