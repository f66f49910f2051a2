import { Column, Entity, PrimaryColumn } from 'typeorm';

/** The stable name that clients call. `revision` points at the live route; only an open rollout holds `rolloutId`. */
@Entity('endpoints')
export class EndpointEntity {
  @PrimaryColumn('text') name!: string;
  @Column('text') model!: string;
  @Column('integer') revision!: number;
  @Column('uuid', { name: 'rollout_id', nullable: true }) rolloutId!: string | null;
  @Column('timestamptz', { name: 'created_at' }) createdAt!: Date;
  @Column('text', { name: 'created_by' }) createdBy!: string;
}

/** One share of an endpoint's traffic. Weights of a route are percentages and sum to 100. */
export interface RouteArm {
  name: string;
  version: string;
  weight: number;
}

/** An immutable revision. `fence` orders the writes of one rollout: a repeated or late one changes nothing. */
@Entity('routes')
export class RouteEntity {
  @PrimaryColumn('text') endpoint!: string;
  @PrimaryColumn('integer') revision!: number;
  @Column('jsonb') arms!: RouteArm[];
  @Column('text') reason!: string;
  @Column('text', { name: 'made_by' }) madeBy!: string;
  @Column('uuid', { name: 'rollout_id', nullable: true }) rolloutId!: string | null;
  @Column('integer', { nullable: true }) fence!: number | null;
  /** What the endpoint's policy did not like about it and let pass. */
  @Column('jsonb') warnings!: string[];
  @Column('timestamptz') at!: Date;
}
