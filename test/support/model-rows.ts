import type { Database } from '#libs/store';
import { sha256 } from './artifact-sample.js';

export const digestOf = (model: string, version: string): string => sha256(`${model}/${version}`);

/** A registered version without files: its row alone, with what its manifest says. */
export async function modelRow(
  database: Database,
  version: string,
  manifest: Record<string, unknown> = {},
  model = 'm',
): Promise<void> {
  await database.query(
    `INSERT INTO model_versions (model, version, format, manifest, content_digest, artifact_path, state, registered_by)
     VALUES ($1, $2, 'onnx', $3, $4, '/x', 'registered', 'system')`,
    [model, version, JSON.stringify(manifest), digestOf(model, version)],
  );
}

/** What an evaluation in a manifest looks like. */
export const evaluated = (f1: number): Record<string, unknown> => ({
  evaluation: { dataset: 'held-out', split: 'test', metrics: { f1 } },
});

export const actionsIn = async (database: Database, like = '%'): Promise<string[]> => {
  const rows = await database.query<{ action: string }>(
    'SELECT action FROM audit_events WHERE action LIKE $1 ORDER BY seq',
    [like],
  );
  return rows.map(({ action }) => action);
};
