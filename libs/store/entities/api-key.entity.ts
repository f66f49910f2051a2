import { Column, Entity, PrimaryColumn } from 'typeorm';

/** An API key is shown once; what is kept is its HMAC. */
@Entity('api_keys')
export class ApiKeyEntity {
  @PrimaryColumn('uuid') id!: string;
  /** The first characters of the key, so that a person can tell which one it is. */
  @Column('text') prefix!: string;
  @Column('text') name!: string;
  @Column('text') role!: string;
  /** HMAC-SHA-256 of the whole key under the pepper. */
  @Column('bytea') digest!: Buffer;
  @Column('timestamptz', { name: 'created_at' }) createdAt!: Date;
  @Column('text', { name: 'created_by' }) createdBy!: string;
  @Column('timestamptz', { name: 'expires_at', nullable: true }) expiresAt!: Date | null;
  @Column('timestamptz', { name: 'revoked_at', nullable: true }) revokedAt!: Date | null;
}
