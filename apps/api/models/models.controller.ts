import { ModelRegistry, type ModelVersionView, type Registration } from '#libs/inference';
import { Controller, Get, HttpCode, Inject, Param, Post, Query, Req, Res } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { z } from 'zod';
import { ByCaller, type Caller } from '../http/caller.js';
import { Operation } from '../http/operation.js';
import { InvalidRequest } from '../http/problem.js';
import { withArchive } from './archive-upload.js';
import {
  manifestAloneSchema,
  modelListSchema,
  modelQuerySchema,
  modelVersionSchema,
  originSchema,
  registrationSchema,
  uploadQuerySchema,
  type ModelQuery,
  type UploadQuery,
} from './model-schema.js';

const params = { model: 'the model', version: 'its version' };
const tag = 'models';

@Controller('/api/models')
export class ModelsController {
  constructor(@Inject(ModelRegistry) private readonly registry: ModelRegistry) {}

  @Post()
  @Operation({
    permit: 'model.register',
    tag,
    summary:
      'Register a model version from an archive (.tar.gz), a folder, an S3 store, an OCI registry or, of format remote, a manifest alone',
    query: uploadQuerySchema,
    body: registrationSchema,
    takesArchive: true,
    answers: {
      201: { description: 'registered', schema: modelVersionSchema },
      200: { description: 'the same content was registered before', schema: modelVersionSchema },
    },
    refusals: [
      'SLU_ARTIFACT_UNREADABLE',
      'SLU_ARTIFACT_REFUSED',
      'SLU_ARTIFACT_TOO_LARGE',
      'SLU_ARTIFACT_FOLDER_CLOSED',
      'SLU_ARTIFACT_SOURCE_CLOSED',
      'SLU_ARTIFACT_SOURCE_FAILED',
      'SLU_ARTIFACT_STORE_FULL',
      'SLU_SIGNATURE_INVALID',
      'SLU_MODEL_CONFLICT',
      'SLU_REQUEST_MEDIA_TYPE',
    ],
  })
  async register(
    @Req() req: FastifyRequest,
    @ByCaller() { actor, requestId }: Caller,
    @Query({ schema: uploadQuerySchema }) query: UploadQuery,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<ModelVersionView> {
    const { created, version } = isJson(req)
      ? await this.registerNamed(req.body, query, { actor, requestId })
      : await withArchive(req, (archive) => this.registry.registerArchive(archive, actor, requestId, query));
    void reply.code(created ? 201 : 200).header('location', `/api/models/${version.model}/versions/${version.version}`);
    return version;
  }

  private registerNamed(body: unknown, query: UploadQuery, { actor, requestId }: Caller): Promise<Registration> {
    if (isManifestAlone(body))
      return this.registry.registerManifest(parsed(manifestAloneSchema, body).manifest, actor, requestId);
    const { path, source, ...rest } = parsed(originSchema, body);
    const wish = { ...query, ...rest };
    if (path !== undefined) return this.registry.registerFolder(path, actor, requestId, wish);
    return this.registry.registerSource(source ?? '', actor, requestId, wish);
  }

  @Get()
  @Operation({
    permit: 'model.read',
    tag,
    summary: 'List model versions',
    query: modelQuerySchema,
    answers: { 200: { description: 'all versions, the newest of each model first', schema: modelListSchema } },
  })
  async list(@Query({ schema: modelQuerySchema }) { model }: ModelQuery): Promise<{ versions: ModelVersionView[] }> {
    return { versions: await this.registry.list(model) };
  }

  @Get('/:model/versions/:version')
  @Operation({
    permit: 'model.read',
    tag,
    summary: 'Read one model version',
    params,
    answers: { 200: { description: 'the version', schema: modelVersionSchema } },
    refusals: ['SLU_MODEL_VERSION_UNKNOWN'],
  })
  get(@Param('model') model: string, @Param('version') version: string): Promise<ModelVersionView> {
    return this.registry.get(model, version);
  }

  @Post('/:model/versions/:version/archive')
  @HttpCode(200)
  @Operation({
    permit: 'model.archive',
    tag,
    summary: 'Take a model version out of use for good',
    params,
    answers: { 200: { description: 'archived', schema: modelVersionSchema } },
    refusals: ['SLU_MODEL_VERSION_UNKNOWN', 'SLU_MODEL_VERSION_IN_USE'],
  })
  archive(
    @Param('model') model: string,
    @Param('version') version: string,
    @ByCaller() { actor, requestId }: Caller,
  ): Promise<ModelVersionView> {
    return this.registry.archive(model, version, actor, requestId);
  }
}

const isJson = (req: FastifyRequest): boolean =>
  req.headers['content-type'] === undefined || /^application\/json\b/i.test(req.headers['content-type']);

const isManifestAlone = (body: unknown): boolean =>
  typeof body === 'object' && body !== null && 'manifest' in body && !('path' in body) && !('source' in body);

// Parsed here, not by a decorator: on this route the body may as well be a stream.
function parsed<T>(schema: z.ZodType<T>, body: unknown): T {
  const result = schema.safeParse(body);
  if (result.success) return result.data;
  throw new InvalidRequest(
    result.error.issues.map(({ path, message }) => ({ field: path.join('.') || 'body', problem: message })),
  );
}
