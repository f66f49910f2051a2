import { Rollouts, rolloutRequestSchema, type RolloutDetailView, type RolloutView } from '#libs/control';
import type { RolloutCommand } from '#workflows/rollout/contract';
import { Body, Controller, Get, HttpCode, Inject, Param, Post, Query } from '@nestjs/common';
import { ByCaller, type Caller } from '../http/caller.js';
import { Operation, type OperationSpec } from '../http/operation.js';
import {
  commandSchema,
  rolloutDetailSchema,
  rolloutListSchema,
  rolloutQuerySchema,
  type CommandBody,
  type RolloutQuery,
} from './rollout-schema.js';

const params = { id: 'the rollout' };
const tag = 'rollouts';

const commandOperation = (
  summary: string,
  permit: 'rollout.command' | 'rollout.approve' = 'rollout.command',
): OperationSpec => ({
  permit,
  tag,
  summary,
  params,
  body: commandSchema,
  isBodyOptional: true,
  answers: { 200: { description: 'the rollout has taken the command', schema: rolloutDetailSchema } },
  refusals: ['SLU_ROLLOUT_UNKNOWN', 'SLU_ROLLOUT_REFUSED', 'SLU_ROLLOUT_UNANSWERED', 'SLU_PLATFORM_TEMPORAL_DOWN'],
});

@Controller('/api/rollouts')
export class RolloutsController {
  constructor(@Inject(Rollouts) private readonly rollouts: Rollouts) {}

  @Post()
  @HttpCode(202)
  @Operation({
    permit: 'rollout.start',
    tag,
    summary: 'Start the rollout of a candidate version on an endpoint',
    body: rolloutRequestSchema,
    answers: { 202: { description: 'the workflow has started', schema: rolloutDetailSchema } },
    refusals: [
      'SLU_ROLLOUT_INVALID',
      'SLU_ENDPOINT_UNKNOWN',
      'SLU_ENDPOINT_HELD',
      'SLU_MODEL_VERSION_UNKNOWN',
      'SLU_MODEL_VERSION_ARCHIVED',
      'SLU_POLICY_SIGNATURE',
      'SLU_POLICY_EVALUATION',
      'SLU_PLATFORM_TEMPORAL_DOWN',
    ],
  })
  start(@Body() body: unknown, @ByCaller() { actor, requestId }: Caller): Promise<RolloutDetailView> {
    return this.rollouts.start(body, actor, requestId);
  }

  @Get()
  @Operation({
    permit: 'rollout.read',
    tag,
    summary: 'List rollouts, the newest first',
    query: rolloutQuerySchema,
    answers: { 200: { description: 'the rollouts', schema: rolloutListSchema } },
  })
  async list(@Query({ schema: rolloutQuerySchema }) query: RolloutQuery): Promise<{ rollouts: RolloutView[] }> {
    return { rollouts: await this.rollouts.list(query) };
  }

  @Get('/:id')
  @Operation({
    permit: 'rollout.read',
    tag,
    summary: 'Read a rollout with its timeline',
    params,
    answers: { 200: { description: 'the rollout', schema: rolloutDetailSchema } },
    refusals: ['SLU_ROLLOUT_UNKNOWN'],
  })
  get(@Param('id') id: string): Promise<RolloutDetailView> {
    return this.rollouts.get(id);
  }

  @Post('/:id/pause')
  @HttpCode(200)
  @Operation(commandOperation('Hold a rollout where it is'))
  pause(
    @Param('id') id: string,
    @Body({ schema: commandSchema }) body: CommandBody,
    @ByCaller() caller: Caller,
  ): Promise<RolloutDetailView> {
    return this.command(id, 'pause', body, caller);
  }

  @Post('/:id/resume')
  @HttpCode(200)
  @Operation(commandOperation('Let a held rollout go on'))
  resume(
    @Param('id') id: string,
    @Body({ schema: commandSchema }) body: CommandBody,
    @ByCaller() caller: Caller,
  ): Promise<RolloutDetailView> {
    return this.command(id, 'resume', body, caller);
  }

  @Post('/:id/approve')
  @HttpCode(200)
  @Operation(commandOperation('Approve the step that waits for a person', 'rollout.approve'))
  approve(
    @Param('id') id: string,
    @Body({ schema: commandSchema }) body: CommandBody,
    @ByCaller() caller: Caller,
  ): Promise<RolloutDetailView> {
    return this.command(id, 'approve', body, caller);
  }

  @Post('/:id/promote')
  @HttpCode(200)
  @Operation(commandOperation('Give the candidate all traffic now'))
  promote(
    @Param('id') id: string,
    @Body({ schema: commandSchema }) body: CommandBody,
    @ByCaller() caller: Caller,
  ): Promise<RolloutDetailView> {
    return this.command(id, 'promote', body, caller);
  }

  @Post('/:id/abort')
  @HttpCode(200)
  @Operation(commandOperation('Give the stable version all traffic again and end the rollout'))
  abort(
    @Param('id') id: string,
    @Body({ schema: commandSchema }) body: CommandBody,
    @ByCaller() caller: Caller,
  ): Promise<RolloutDetailView> {
    return this.command(id, 'abort', body, caller);
  }

  private command(
    id: string,
    command: RolloutCommand,
    body: CommandBody,
    { actor, requestId }: Caller,
  ): Promise<RolloutDetailView> {
    return this.rollouts.command(id, command, { actor, reason: body?.reason, requestId });
  }
}
