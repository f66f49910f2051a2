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
  /** The layout that it came in: `sluice`, or one that was turned into a manifest at registration. */
  @Column('text') layout!: string;
  /** Where it was fetched from (`s3://...`, `oci://...`); null for a folder or an upload. */
  @Column('text', { nullable: true }) source!: string | null;
  /** What its layout asked for and is not honoured. */
  @Column('jsonb') warnings!: string[];
  @Column('text') state!: 'registered' | 'archived';
  @Column('timestamptz', { name: 'registered_at' }) registeredAt!: Date;
  @Column('text', { name: 'registered_by' }) registeredBy!: string;
}
