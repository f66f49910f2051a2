import { afterEach, beforeEach, expect, it } from 'vitest';
import { freshDatabase, type FreshDatabase } from '../../../test/support/database.js';
import { digestOf, modelRow } from '../../../test/support/model-rows.js';
import { Endpoints } from '../routes/endpoints.js';
import { ModelLineage } from './model-lineage.js';
import { ReplicaSets } from '../replicas/replica-sets.js';

let db: FreshDatabase;
let lineage: ModelLineage;
beforeEach(async () => {
  db = await freshDatabase();
  lineage = new ModelLineage(db.database);
  const trainedOn = { dataset: 'dialogues', version: '2026-11' };
  await modelRow(db.database, '1', { trainedOn });
  await modelRow(db.database, '2', { trainedOn: { ...trainedOn, version: '2026-12' } });
  await modelRow(db.database, '3');
  await modelRow(db.database, '1', { trainedOn }, 'other');
  const endpoints = new Endpoints(db.database, new ReplicaSets(db.database));
  await endpoints.create({ name: 'front', model: 'm', version: '1', actor: 'a' });
  await endpoints.create({ name: 'side', model: 'other', version: '1', actor: 'a' });
  const arms = [
    { name: 'stable', version: '1', weight: 90 },
    { name: 'candidate', version: '2', weight: 10 },
  ];
  await endpoints.writeRoute({ endpoint: 'front', arms, reason: 'test', madeBy: 'a' });
  await endpoints.writeRoute({
    endpoint: 'front',
    arms: [{ name: 'stable', version: '2', weight: 100 }],
    reason: 't',
    madeBy: 'a',
  });
});
afterEach(() => db[Symbol.asyncDispose]());

it('leads from a version to its data and to each route that it served, with the time and the share', async () => {
  const one = await lineage.ofVersion('m', '1');
  expect(one).toMatchObject({
    contentDigest: digestOf('m', '1'),
    trainedOn: { dataset: 'dialogues', version: '2026-11' },
    evaluation: null,
    isCut: false,
    routes: [
      { endpoint: 'front', revision: 2, arm: 'stable', weight: 90 },
      { endpoint: 'front', revision: 1, arm: 'stable', weight: 100 },
    ],
  });
  const two = await lineage.ofVersion('m', '2');
  expect(two.routes).toMatchObject([
    { revision: 3, arm: 'stable', weight: 100, until: null },
    { revision: 2, arm: 'candidate', weight: 10 },
  ]);
  // The end of one route is the beginning of the next, to the same instant.
  expect(one.routes[0]?.until).toEqual(two.routes[0]?.from);
  expect(one.routes[1]?.until).toEqual(one.routes[0]?.from);
});

it('leads from a dataset, or one version of it, to all that was trained on it', async () => {
  const versions = async (version?: string) =>
    (await lineage.ofDataset('dialogues', version)).versions.map((each) => `${each.model}/${each.version}`).sort();
  expect(await versions('2026-11')).toEqual(['m/1', 'other/1']);
  expect(await versions()).toEqual(['m/1', 'm/2', 'other/1']);
  expect(await versions('2020')).toEqual([]);
  expect((await lineage.ofDataset(`'; DROP TABLE routes; --`)).versions).toEqual([]);
  const side = (await lineage.ofDataset('dialogues', '2026-11')).versions.find(({ model }) => model === 'other');
  expect(side?.routes).toMatchObject([{ endpoint: 'side', revision: 1, until: null }]);
});

it('of an unknown version is refused, and of one that never served says so', async () => {
  await expect(lineage.ofVersion('m', '9')).rejects.toMatchObject({ code: 'SLU_MODEL_VERSION_UNKNOWN' });
  expect(await lineage.ofVersion('m', '3')).toMatchObject({ trainedOn: null, routes: [] });
});
