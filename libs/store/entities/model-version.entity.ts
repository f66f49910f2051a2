import { Column, Entity, PrimaryColumn } from 'typeorm';

@Entity('model_versions')
export class ModelVersionEntity {
  @PrimaryColumn('text') model!: string;
  @PrimaryColumn('text') version!: string;
  @Column('text') format!: string;
  /** The manifest as registered; the inference lib owns its shape. */
  @Column('jsonb') manifest!: unknown;
  /** sha256 over the manifest's canonical content, hex. */
  @Column('text', { name: 'content_digest' }) contentDigest!: string;
  @Column('text', { name: 'artifact_path' }) artifactPath!: string;
  @Column('text') state!: 'registered' | 'archived';
  @Column('timestamptz', { name: 'registered_at' }) registeredAt!: Date;
  @Column('text', { name: 'registered_by' }) registeredBy!: string;
}
