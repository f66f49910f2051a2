import type { OwnershipColumns } from '../reach.js';

/** What the directory holds: who may own keys, and whose everything is. */
export type DirectoryNoun = 'tenant' | 'project' | 'person' | 'service-account';

export interface DirectoryKind {
  readonly table: string;
  /** Columns of its own, by the names of the view. */
  readonly columns: Readonly<Record<string, string>>;
  readonly ownership: OwnershipColumns;
  /** Which of its columns must be unique, for a person to read. */
  readonly unique: string;
}

export const directoryKinds: Readonly<Record<DirectoryNoun, DirectoryKind>> = {
  tenant: {
    table: 'tenants',
    columns: { name: 'name', tier: 'tier' },
    ownership: { tenantId: 'id' },
    unique: 'name',
  },
  project: {
    table: 'projects',
    columns: { name: 'name', tenantId: 'tenant_id' },
    ownership: { tenantId: 'tenant_id', projectId: 'id' },
    unique: 'name',
  },
  person: {
    table: 'people',
    columns: { name: 'name', tenantId: 'tenant_id', issuer: 'issuer', subject: 'subject' },
    ownership: { tenantId: 'tenant_id', personId: 'id' },
    unique: 'subject',
  },
  'service-account': {
    table: 'service_accounts',
    columns: { name: 'name', tenantId: 'tenant_id', projectId: 'project_id' },
    ownership: { tenantId: 'tenant_id', projectId: 'project_id' },
    unique: 'name',
  },
};

/** A suspended one, and all that is its own, is let in no more; nothing of it is lost. */
export type DirectoryState = 'active' | 'suspended';

interface Entry {
  id: string;
  name: string;
  state: DirectoryState;
  createdAt: Date;
  createdBy: string;
}

export interface DirectoryViews {
  tenant: Entry & { tier: string };
  project: Entry & { tenantId: string };
  person: Entry & { tenantId: string; issuer: string | null; subject: string | null };
  'service-account': Entry & { tenantId: string; projectId: string };
}

/** What makes a new one: its own columns, by the names of the view. */
export type NewEntry<Noun extends DirectoryNoun> = Omit<DirectoryViews[Noun], Exclude<keyof Entry, 'name'>>;

export interface DirectoryChange {
  name?: string | undefined;
  tier?: string | undefined;
  state?: DirectoryState | undefined;
}
