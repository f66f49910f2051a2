import { ReplicaSets, type ReplicaSetView } from '#libs/inference';
import { replicaCauses, type ReplicaEntity } from '#libs/store';
import { sluiceError } from '#libs/kernel';
import { Controller, Get, HttpCode, Inject, Param, Post } from '@nestjs/common';
import { z } from 'zod';
import { ByCaller, type Caller } from '../http/caller.js';
import { Operation } from '../http/operation.js';

const replicaSchema = z.object({
  id: z.uuid(),
  model: z.string(),
  version: z.string(),
  host: z.string(),
  address: z.string(),
  pid: z.int().nullable(),
  state: z.enum(['starting', 'ready', 'draining', 'stopped', 'failed']),
  reason: z.string().nullable(),
  cause: z.enum(replicaCauses).nullable(),
  runtime: z.object({ providers: z.array(z.string()), threads: z.int(), fallbacks: z.array(z.string()) }).nullable(),
  residentBytes: z.number().nullable(),
  startedAt: z.iso.datetime(),
  readyAt: z.iso.datetime().nullable(),
  endedAt: z.iso.datetime().nullable(),
});

const replicaListSchema = z.object({
  sets: z.array(
    z.object({ model: z.string(), version: z.string(), desired: z.int(), ready: z.int(), updatedAt: z.iso.datetime() }),
  ),
  replicas: z.array(replicaSchema),
});

/** Checked here, as the column takes nothing else. */
const replicaIdSchema = z.uuid();
const tag = 'replicas';

@Controller('/api/replicas')
export class ReplicasController {
  constructor(@Inject(ReplicaSets) private readonly replicaSets: ReplicaSets) {}

  @Get()
  @Operation({
    permit: 'replica.read',
    tag,
    summary: 'List wanted numbers and replicas, the living first',
    answers: { 200: { description: 'sets and replicas', schema: replicaListSchema } },
  })
  async list(): Promise<{ sets: ReplicaSetView[]; replicas: ReplicaEntity[] }> {
    const [sets, replicas] = await Promise.all([this.replicaSets.list(), this.replicaSets.replicas()]);
    return { sets, replicas };
  }

  @Post('/:id/drain')
  @HttpCode(202)
  @Operation({
    permit: 'replica.write',
    tag,
    summary: 'Take a replica out; where it is still wanted, its replacement comes first',
    params: { id: 'the id of the replica' },
    answers: { 202: { description: 'it drains', schema: replicaSchema } },
    refusals: ['SLU_REPLICA_UNKNOWN', 'SLU_REPLICA_ENDED'],
  })
  drain(@Param('id') id: string, @ByCaller() caller: Caller): Promise<ReplicaEntity> {
    if (!replicaIdSchema.safeParse(id).success) throw sluiceError('SLU_REPLICA_UNKNOWN', { id: id.slice(0, 40) });
    return this.replicaSets.drain({ id, ...caller });
  }
}
