import { Column, Entity, PrimaryColumn } from 'typeorm';

/** How many replicas a version shall have. The supervisor makes it so. */
@Entity('replica_sets')
export class ReplicaSetEntity {
  @PrimaryColumn('text') model!: string;
  @PrimaryColumn('text') version!: string;
  @Column('integer') desired!: number;
  @Column('timestamptz', { name: 'updated_at' }) updatedAt!: Date;
}

export type ReplicaState = 'starting' | 'ready' | 'draining' | 'stopped' | 'failed';

/** One place where one version runs. `address` is `unix:<path>` or `http://host:port`. A row is one life: ended rows stay. */
@Entity('replicas')
export class ReplicaEntity {
  @PrimaryColumn('uuid') id!: string;
  @Column('text') model!: string;
  @Column('text') version!: string;
  /** The supervisor that owns it; a supervisor ends the rows of its own earlier life at its start. */
  @Column('text') host!: string;
  @Column('text') address!: string;
  @Column('integer', { nullable: true }) pid!: number | null;
  @Column('text') state!: ReplicaState;
  @Column('text', { nullable: true }) reason!: string | null;
  @Column('timestamptz', { name: 'started_at' }) startedAt!: Date;
  @Column('timestamptz', { name: 'ready_at', nullable: true }) readyAt!: Date | null;
  @Column('timestamptz', { name: 'ended_at', nullable: true }) endedAt!: Date | null;
}
