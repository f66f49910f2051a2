import { ModelLineage, type DatasetLineage, type VersionLineage } from '#libs/inference';
import { Controller, Get, Inject, Param, Query } from '@nestjs/common';
import { Operation } from '../http/operation.js';
import { datasetLineageSchema, lineageQuerySchema, versionLineageSchema, type LineageQuery } from './lineage-schema.js';

const tag = 'lineage';

@Controller('/api')
export class LineageController {
  constructor(@Inject(ModelLineage) private readonly lineage: ModelLineage) {}

  @Get('/models/:model/versions/:version/lineage')
  @Operation({
    permit: 'model.read',
    tag,
    summary: 'What a version was trained on, and which routes it served, when and with what share',
    params: { model: 'the model', version: 'its version' },
    answers: { 200: { description: 'its lineage, the newest route first', schema: versionLineageSchema } },
    refusals: ['SLU_MODEL_VERSION_UNKNOWN'],
  })
  ofVersion(@Param('model') model: string, @Param('version') version: string): Promise<VersionLineage> {
    return this.lineage.ofVersion(model, version);
  }

  @Get('/lineage')
  @Operation({
    permit: 'model.read',
    tag,
    summary: 'Which model versions were trained on a dataset, and where they served',
    query: lineageQuerySchema,
    answers: { 200: { description: 'the versions, the newest first', schema: datasetLineageSchema } },
  })
  ofDataset(@Query({ schema: lineageQuerySchema }) { dataset, version }: LineageQuery): Promise<DatasetLineage> {
    return this.lineage.ofDataset(dataset, version);
  }
}
