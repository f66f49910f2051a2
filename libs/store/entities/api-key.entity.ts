import { Column, Entity, PrimaryColumn } from 'typeorm';

/** An API key is shown once; what is kept is its HMAC. */
@Entity('api_keys')
export class ApiKeyEntity {
  @PrimaryColumn('uuid') id!: string;
  /** The first characters of the key, so that a person can tell which one it is. */
  @Column('text') prefix!: string;
  @Column('text') name!: string;
  @Column('text', { array: true }) roles!: string[];
  @Column('uuid', { name: 'tenant_id' }) tenantId!: string;
  @Column('uuid', { name: 'project_id' }) projectId!: string;
  /** Whose key it is: a person's or a service account's; never both, and perhaps neither. */
  @Column('uuid', { name: 'person_id', nullable: true }) personId!: string | null;
  @Column('uuid', { name: 'service_account_id', nullable: true }) serviceAccountId!: string | null;
  /** Null: that of the tenant. */
  @Column('text', { nullable: true }) tier!: string | null;
  /** Null: all. */
  @Column('text', { array: true, nullable: true }) endpoints!: string[] | null;
  /** Null: all. */
  @Column('cidr', { array: true, nullable: true }) networks!: string[] | null;
  /** HMAC-SHA-256 of the whole key under the pepper. */
  @Column('bytea') digest!: Buffer;
  @Column('timestamptz', { name: 'created_at' }) createdAt!: Date;
  @Column('text', { name: 'created_by' }) createdBy!: string;
  @Column('timestamptz', { name: 'expires_at', nullable: true }) expiresAt!: Date | null;
  @Column('timestamptz', { name: 'revoked_at', nullable: true }) revokedAt!: Date | null;
  @Column('timestamptz', { name: 'last_used_at', nullable: true }) lastUsedAt!: Date | null;
  /** The key in whose place it came. */
  @Column('uuid', { nullable: true }) replaces!: string | null;
}
