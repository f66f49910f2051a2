import { sluiceError } from '#libs/kernel';
import { ModelVersionEntity, type Database, type Tx } from '#libs/store';
import type { Manifest } from './manifest.js';

/** One stretch of time in which one route gave the version a share. */
export interface ServedRoute {
  endpoint: string;
  revision: number;
  arm: string;
  /** Percent. */
  weight: number;
  from: Date;
  /** Null while it is live. */
  until: Date | null;
}

export interface VersionLineage {
  model: string;
  version: string;
  contentDigest: string;
  state: 'registered' | 'archived';
  trainedOn: Manifest['trainedOn'] | null;
  evaluation: Manifest['evaluation'] | null;
  routes: ServedRoute[];
  /** There are more routes than are shown; the newest are. */
  isCut: boolean;
}

export interface DatasetLineage {
  dataset: string;
  datasetVersion: string | null;
  versions: VersionLineage[];
  isCut: boolean;
}

const mostRoutes = 1_000;
const mostVersions = 500;

/** From data to what was served, and back: manifests say what a version was trained on, routes say where it served. */
export class ModelLineage {
  constructor(private readonly database: Database) {}

  /** @throws SLU_MODEL_VERSION_UNKNOWN */
  async ofVersion(model: string, version: string): Promise<VersionLineage> {
    return this.database.run(async (tx) => {
      const row = await tx.findOneBy(ModelVersionEntity, { model, version });
      if (row === null) throw sluiceError('SLU_MODEL_VERSION_UNKNOWN', { model, version });
      return lineageOf(tx, row);
    });
  }

  /** @param datasetVersion without it, every version of the dataset @returns the newest registrations first */
  async ofDataset(dataset: string, datasetVersion?: string): Promise<DatasetLineage> {
    return this.database.run(async (tx) => {
      const rows = await tx
        .createQueryBuilder(ModelVersionEntity, 'v')
        .where(`v.manifest->'trainedOn'->>'dataset' = :dataset`, { dataset })
        .andWhere(datasetVersion === undefined ? 'true' : `v.manifest->'trainedOn'->>'version' = :datasetVersion`, {
          datasetVersion,
        })
        .orderBy('v.registeredAt', 'DESC')
        .addOrderBy('v.model')
        .addOrderBy('v.version')
        .limit(mostVersions + 1)
        .getMany();
      const versions: VersionLineage[] = [];
      for (const row of rows.slice(0, mostVersions)) versions.push(await lineageOf(tx, row));
      return { dataset, datasetVersion: datasetVersion ?? null, versions, isCut: rows.length > mostVersions };
    });
  }
}

async function lineageOf(tx: Tx, row: ModelVersionEntity): Promise<VersionLineage> {
  const { model, version, contentDigest, state } = row;
  const { trainedOn = null, evaluation = null } = row.manifest as Partial<Manifest>;
  // A route ends where the next revision of its endpoint begins.
  const routes: ServedRoute[] = await tx.query(
    `SELECT r.endpoint, r.revision, arm->>'name' AS arm, (arm->>'weight')::float8 AS weight, r.at AS "from",
            (SELECT n.at FROM routes n WHERE n.endpoint = r.endpoint AND n.revision = r.revision + 1) AS until
       FROM routes r JOIN endpoints e ON e.name = r.endpoint CROSS JOIN LATERAL jsonb_array_elements(r.arms) arm
      WHERE e.model = $1 AND arm->>'version' = $2
      ORDER BY r.at DESC, r.endpoint, r.revision DESC, arm->>'name' LIMIT ${mostRoutes + 1}`,
    [model, version],
  );
  const isCut = routes.length > mostRoutes;
  return { model, version, contentDigest, state, trainedOn, evaluation, routes: routes.slice(0, mostRoutes), isCut };
}
