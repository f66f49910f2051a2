import { Endpoints, type PolicyView } from '#libs/inference';
import { Body, Controller, Get, HttpCode, Inject, Param, Post, Put } from '@nestjs/common';
import { ByCaller, type Caller } from '../http/caller.js';
import { Operation } from '../http/operation.js';
import {
  overrideSchema,
  policyBodySchema,
  policySchema,
  type OverrideBody,
  type PolicyBody,
} from './endpoint-schema.js';

const params = { name: 'the endpoint' };
const tag = 'endpoints';

@Controller('/api/endpoints/:name/policy')
export class PoliciesController {
  constructor(@Inject(Endpoints) private readonly endpoints: Endpoints) {}

  @Get()
  @Operation({
    permit: 'policy.read',
    tag,
    summary: 'Read what an endpoint asks of a version before it takes traffic',
    params,
    answers: { 200: { description: 'the policy in force', schema: policySchema } },
    refusals: ['SLU_ENDPOINT_UNKNOWN'],
  })
  get(@Param('name') name: string): Promise<PolicyView> {
    return this.endpoints.policies.get(name);
  }

  @Put()
  @Operation({
    permit: 'policy.write',
    tag,
    summary: 'Write the next revision of the policy; what is live keeps its traffic',
    params,
    body: policyBodySchema,
    answers: { 200: { description: 'the policy in force', schema: policySchema } },
    refusals: ['SLU_ENDPOINT_UNKNOWN', 'SLU_POLICY_STALE'],
  })
  put(
    @Param('name') name: string,
    @Body({ schema: policyBodySchema }) body: PolicyBody,
    @ByCaller() caller: Caller,
  ): Promise<PolicyView> {
    const { expectedRevision, ...policy } = body;
    return this.endpoints.policies.put(name, policy, { ...caller, expectedRevision });
  }

  @Post('/overrides')
  @HttpCode(200)
  @Operation({
    permit: 'policy.write',
    tag,
    summary: 'Let one version in against the policy, with a reason, until the policy changes',
    params,
    body: overrideSchema,
    answers: { 200: { description: 'the policy in force', schema: policySchema } },
    refusals: ['SLU_ENDPOINT_UNKNOWN', 'SLU_MODEL_VERSION_UNKNOWN', 'SLU_POLICY_UNKNOWN'],
  })
  override(
    @Param('name') name: string,
    @Body({ schema: overrideSchema }) { version, reason }: OverrideBody,
    @ByCaller() caller: Caller,
  ): Promise<PolicyView> {
    return this.endpoints.policies.override(name, version, reason, caller);
  }
}
