import { Endpoints, ReplicaSets, type EndpointView } from '#libs/inference';
import { sluiceError } from '#libs/kernel';
import type { RouteEntity } from '#libs/store';
import { Body, Controller, Get, HttpCode, Inject, Param, Post } from '@nestjs/common';
import { ByCaller, type Caller } from '../http/caller.js';
import { Operation } from '../http/operation.js';
import {
  endpointListSchema,
  endpointSchema,
  newEndpointSchema,
  rollbackSchema,
  routeListSchema,
  routeSchema,
  type NewEndpointBody,
  type RollbackBody,
} from './endpoint-schema.js';

interface EndpointAnswer extends EndpointView {
  readyReplicas: Record<string, number>;
}

const params = { name: 'the endpoint' };
const tag = 'endpoints';

@Controller('/api/endpoints')
export class EndpointsController {
  constructor(
    @Inject(Endpoints) private readonly endpoints: Endpoints,
    @Inject(ReplicaSets) private readonly replicaSets: ReplicaSets,
  ) {}

  @Post()
  @Operation({
    permit: 'endpoint.write',
    tag,
    summary: 'Create an endpoint that gives one model version all traffic',
    body: newEndpointSchema,
    answers: { 201: { description: 'created; a replica is on its way', schema: endpointSchema } },
    refusals: [
      'SLU_ENDPOINT_CONFLICT',
      'SLU_MODEL_VERSION_UNKNOWN',
      'SLU_MODEL_VERSION_ARCHIVED',
      'SLU_POLICY_SIGNATURE',
      'SLU_POLICY_EVALUATION',
    ],
  })
  async create(
    @Body({ schema: newEndpointSchema }) body: NewEndpointBody,
    @ByCaller() caller: Caller,
  ): Promise<EndpointAnswer> {
    const { name, model = name, version, policy } = body;
    const made = await this.endpoints.create({ name, model, version, policy, ...caller });
    const [answer] = await this.withReplicas([made]);
    if (answer === undefined) throw sluiceError('SLU_ENDPOINT_UNKNOWN', { endpoint: name });
    return answer;
  }

  @Get()
  @Operation({
    permit: 'endpoint.read',
    tag,
    summary: 'List endpoints with their live routes',
    answers: { 200: { description: 'all endpoints', schema: endpointListSchema } },
  })
  async list(): Promise<{ endpoints: EndpointAnswer[] }> {
    return { endpoints: await this.withReplicas(await this.endpoints.list()) };
  }

  @Get('/:name')
  @Operation({
    permit: 'endpoint.read',
    tag,
    summary: 'Read an endpoint: live route and ready replicas',
    params,
    answers: { 200: { description: 'the endpoint', schema: endpointSchema } },
    refusals: ['SLU_ENDPOINT_UNKNOWN'],
  })
  async get(@Param('name') name: string): Promise<EndpointAnswer> {
    const [answer] = await this.withReplicas([await this.endpoints.get(name)]);
    if (answer === undefined) throw sluiceError('SLU_ENDPOINT_UNKNOWN', { endpoint: name });
    return answer;
  }

  @Get('/:name/history')
  @Operation({
    permit: 'endpoint.read',
    tag,
    summary: 'Read the route revisions of an endpoint, the newest first',
    params,
    answers: { 200: { description: 'its routes', schema: routeListSchema } },
    refusals: ['SLU_ENDPOINT_UNKNOWN'],
  })
  async history(@Param('name') name: string): Promise<{ routes: RouteEntity[] }> {
    return { routes: await this.endpoints.history(name) };
  }

  @Post('/:name/rollback')
  @HttpCode(200)
  @Operation({
    permit: 'endpoint.rollback',
    tag,
    summary: 'Go back to an earlier route in one call: capacity first, then the traffic',
    params,
    body: rollbackSchema,
    isBodyOptional: true,
    answers: { 200: { description: 'the new live route', schema: routeSchema } },
    refusals: [
      'SLU_ENDPOINT_UNKNOWN',
      'SLU_ENDPOINT_HELD',
      'SLU_ROUTE_UNKNOWN',
      'SLU_ROUTE_STALE',
      'SLU_MODEL_VERSION_ARCHIVED',
      'SLU_POLICY_SIGNATURE',
      'SLU_POLICY_EVALUATION',
      'SLU_REPLICA_FAILED',
      'SLU_INFERENCE_NOT_READY',
    ],
  })
  rollback(
    @Param('name') endpoint: string,
    @Body({ schema: rollbackSchema }) body: RollbackBody,
    @ByCaller() caller: Caller,
  ): Promise<RouteEntity> {
    return this.endpoints.rollbackTo({ endpoint, revision: body?.revision, ...caller });
  }

  private async withReplicas(endpoints: EndpointView[]): Promise<EndpointAnswer[]> {
    const ready = new Map((await this.replicaSets.list()).map((set) => [`${set.model}/${set.version}`, set.ready]));
    return endpoints.map((endpoint) => ({
      ...endpoint,
      readyReplicas: Object.fromEntries(
        endpoint.route.arms.map(({ version }) => [version, ready.get(`${endpoint.model}/${version}`) ?? 0]),
      ),
    }));
  }
}
