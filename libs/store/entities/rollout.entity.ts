import { Column, Entity, Generated, PrimaryColumn } from 'typeorm';

/** The rollout as people and the API read it; the workflow's history is the other witness. */
@Entity('rollouts')
export class RolloutEntity {
  @PrimaryColumn('uuid') id!: string;
  @Column('text') endpoint!: string;
  @Column('text') model!: string;
  @Column('text', { name: 'stable_version' }) stableVersion!: string;
  @Column('text', { name: 'candidate_version' }) candidateVersion!: string;
  @Column('text') strategy!: string;
  /** The settings as asked, with defaults filled in; the rollout contract owns its shape. */
  @Column('jsonb') spec!: unknown;
  @Column('text') phase!: string;
  @Column('integer', { name: 'step_index' }) stepIndex!: number;
  /** Percent of the traffic that the candidate has now. */
  @Column('real') weight!: number;
  @Column('jsonb', { nullable: true }) verdict!: unknown;
  @Column('text', { nullable: true }) reason!: string | null;
  @Column('text', { name: 'started_by' }) startedBy!: string;
  @Column('timestamptz', { name: 'created_at' }) createdAt!: Date;
  @Column('timestamptz', { name: 'updated_at' }) updatedAt!: Date;
  @Column('timestamptz', { name: 'ended_at', nullable: true }) endedAt!: Date | null;
}

/** One line of a rollout's timeline. `eventKey` makes a repeated activity write it once. */
@Entity('rollout_events')
export class RolloutEventEntity {
  @PrimaryColumn('uuid', { name: 'rollout_id' }) rolloutId!: string;
  @PrimaryColumn('text', { name: 'event_key' }) eventKey!: string;
  @Column('bigint') @Generated('increment') seq!: string;
  @Column('timestamptz') at!: Date;
  @Column('text') kind!: string;
  @Column('text') actor!: string;
  @Column('jsonb') detail!: unknown;
}
