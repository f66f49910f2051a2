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

/** What a replica says of how it runs its model, once it is loaded. */
export interface ReplicaRuntime {
  /** What computes, in the order of its being asked: `cuda`, `cpu`. */
  readonly providers: readonly string[];
  /** Threads that one run may use. */
  readonly threads: number;
  /** What was asked for and is not so, each with its reason. */
  readonly fallbacks: readonly string[];
}

/**
 * Why a replica ended, or is to end: `drain` when somebody asked for it, `memory` when it held more than it may and was
 * replaced, `liveness` when it hung, `start-deadline` and `load` when it was never ready, else `crash`.
 */
export const replicaCauses = ['crash', 'load', 'start-deadline', 'liveness', 'memory', 'drain'] as const;
export type ReplicaCause = (typeof replicaCauses)[number];

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
  @Column('text', { nullable: true }) cause!: ReplicaCause | null;
  @Column('jsonb', { nullable: true }) runtime!: ReplicaRuntime | null;
  /** Resident memory of its process, as it was seen last. */
  @Column('double precision', { name: 'resident_bytes', nullable: true }) residentBytes!: number | null;
  @Column('timestamptz', { name: 'started_at' }) startedAt!: Date;
  @Column('timestamptz', { name: 'ready_at', nullable: true }) readyAt!: Date | null;
  @Column('timestamptz', { name: 'ended_at', nullable: true }) endedAt!: Date | null;
}
