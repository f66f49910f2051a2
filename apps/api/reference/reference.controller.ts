import { sluiceError } from '#libs/kernel';
import { Controller, Get, Header, Inject, Param, StreamableFile } from '@nestjs/common';
import { createReadStream } from 'node:fs';
import { Operation, type OperationSpec } from '../http/operation.js';
import { docsAsset, docsPage, docsPolicy, docsStart } from './docs-page.js';
import type { OpenApiDocument } from './openapi.js';

/** What this controller shows; it is known when all routes are. */
export abstract class Reference {
  abstract openApi(): OpenApiDocument;
  abstract metrics(): Promise<string>;
}

const page = (summary: string, contentType: string): OperationSpec => ({
  permit: 'reference.read',
  tag: 'reference',
  summary,
  takesBasic: true,
  answers: { 200: { description: 'as it says', contentType } },
});

@Controller()
export class ReferenceController {
  constructor(@Inject(Reference) private readonly reference: Reference) {}

  @Get('/metrics')
  @Header('content-type', 'text/plain; version=0.0.4; charset=utf-8')
  @Operation({
    permit: 'metrics.read',
    tag: 'reference',
    summary: 'Read the metrics in the text format of Prometheus',
    takesBasic: true,
    answers: { 200: { description: 'the metrics', contentType: 'text/plain' } },
  })
  metrics(): Promise<string> {
    return this.reference.metrics();
  }

  @Get('/openapi.json')
  @Operation(page('Read this document', 'application/json'))
  openApi(): OpenApiDocument {
    return this.reference.openApi();
  }

  @Get('/docs')
  @Header('content-type', 'text/html; charset=utf-8')
  @Header('content-security-policy', docsPolicy)
  @Operation(page('Browse the documentation; a browser sends the key as the password of HTTP Basic', 'text/html'))
  docs(): string {
    return docsPage;
  }

  @Get('/docs/start.js')
  @Header('content-type', 'text/javascript; charset=utf-8')
  @Operation(page('Load the start script of the documentation', 'text/javascript'))
  docsStart(): string {
    return docsStart;
  }

  @Get('/docs/:asset')
  @Header('cache-control', 'private, max-age=3600')
  @Operation({
    ...page('Load a file of the documentation', 'application/octet-stream'),
    params: { asset: 'its name' },
    refusals: ['SLU_REQUEST_NOT_FOUND'],
  })
  docsAsset(@Param('asset') name: string): StreamableFile {
    const asset = docsAsset(name);
    if (asset === undefined) throw sluiceError('SLU_REQUEST_NOT_FOUND', { path: '/docs' });
    return new StreamableFile(createReadStream(asset.file), { type: asset.type });
  }
}
