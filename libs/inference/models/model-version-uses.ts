import type { Tx } from '#libs/store';

/** @returns the endpoints whose live route names the version, and the open rollouts about it, as a person reads them */
export async function usesOf(tx: Tx, model: string, version: string): Promise<string[]> {
  const endpoints: { name: string }[] = await tx.query(
    `SELECT e.name FROM endpoints e JOIN routes r ON r.endpoint = e.name AND r.revision = e.revision
      WHERE e.model = $1 AND EXISTS (SELECT 1 FROM jsonb_array_elements(r.arms) arm WHERE arm->>'version' = $2)
      ORDER BY e.name`,
    [model, version],
  );
  const rollouts: { id: string }[] = await tx.query(
    `SELECT id FROM rollouts WHERE model = $1 AND $2 IN (stable_version, candidate_version) AND ended_at IS NULL ORDER BY id`,
    [model, version],
  );
  return [...endpoints.map(({ name }) => `endpoint ${name}`), ...rollouts.map(({ id }) => `rollout ${id}`)];
}
