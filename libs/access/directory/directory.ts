import { randomUUID } from 'node:crypto';
import { appendAudit } from '#libs/audit';
import { sluiceError } from '#libs/kernel';
import { isUniqueViolation, readPage, type Database, type Page, type PageWish, type Tx } from '#libs/store';
import type { Action } from '../permit-table.js';
import { defaultTenantId, type Principal } from '../principal.js';
import { requireReach, whereWithin, type Reach } from '../reach.js';
import {
  directoryKinds,
  type DirectoryChange,
  type DirectoryNoun,
  type DirectoryViews,
  type NewEntry,
} from './directory-kind.js';

/** Who changes something, as its audit row says it. */
export interface ChangedBy {
  actor: string;
  requestId?: string | undefined;
}

export interface DirectorySettings {
  database: Database;
  /** Called after each change and awaited, so that whoever was answered finds it in force here. */
  afterChange?: (id: string) => Promise<void>;
}

const defaultProjectName = 'default';

/** Tenants, projects, people and service accounts. Each change and its audit row commit together. */
export class Directory {
  constructor(private readonly settings: DirectorySettings) {}

  /** Those within reach, the newest first. @throws SLU_REQUEST_INVALID for a cursor that is none */
  list<Noun extends DirectoryNoun>(noun: Noun, reach: Reach, page: PageWish): Promise<Page<DirectoryViews[Noun]>> {
    const parameters: unknown[] = [];
    const where = whereWithin(reach, directoryKinds[noun].ownership, parameters);
    return readPage(this.settings.database, { select: select(noun), where, parameters }, page);
  }

  /** @throws SLU_ACCESS_OWNER_UNKNOWN also for what is out of reach */
  async get<Noun extends DirectoryNoun>(noun: Noun, reach: Reach, id: string): Promise<DirectoryViews[Noun]> {
    return this.settings.database.read((tx) => this.entryIn(tx, noun, reach, id));
  }

  /** @throws SLU_ACCESS_OWNER_CONFLICT */
  async create<Noun extends DirectoryNoun>(
    noun: Noun,
    entry: NewEntry<Noun>,
    by: ChangedBy,
  ): Promise<DirectoryViews[Noun]> {
    return guardUnique(noun, entry, () => this.settings.database.run((tx) => this.createIn(tx, noun, entry, by)));
  }

  async createIn<Noun extends DirectoryNoun>(
    tx: Tx,
    noun: Noun,
    entry: NewEntry<Noun>,
    by: ChangedBy,
  ): Promise<DirectoryViews[Noun]> {
    const id = randomUUID();
    const given = Object.entries(entry) as [string, string | null][];
    const columns = ['id', 'created_by', ...given.map(([member]) => columnOf(noun, member))];
    await tx.query(
      `INSERT INTO ${directoryKinds[noun].table} (${columns.join(', ')}) VALUES (${columns.map((_column, index) => `$${index + 1}`).join(', ')})`,
      [id, by.actor, ...given.map(([, value]) => value)],
    );
    await this.note(tx, `${noun}.create`, noun, id, by, entry as Record<string, string | null>);
    // So that keys of a new tenant have a place to be.
    if (noun === 'tenant') await this.createIn(tx, 'project', { tenantId: id, name: defaultProjectName }, by);
    return this.entryIn(tx, noun, { scope: 'all' }, id);
  }

  /** @throws SLU_ACCESS_OWNER_UNKNOWN, SLU_ACCESS_OWNER_CONFLICT, SLU_REQUEST_INVALID */
  async change<Noun extends DirectoryNoun>(
    noun: Noun,
    reach: Reach,
    id: string,
    change: DirectoryChange,
    by: ChangedBy,
  ): Promise<DirectoryViews[Noun]> {
    const given = Object.entries(change).filter((each): each is [string, string] => each[1] !== undefined);
    const after = await guardUnique(noun, change, () =>
      this.settings.database.run(async (tx) => {
        const before = await this.entryIn(tx, noun, reach, id, 'FOR UPDATE');
        refuseEndOfDefaults(id, change);
        const changed = given.filter(
          ([member, value]) => (before as unknown as Record<string, unknown>)[member] !== value,
        );
        if (changed.length === 0) return before;
        const assignments = changed.map(([member], index) => `${columnOf(noun, member)} = $${index + 2}`);
        await tx.query(`UPDATE ${directoryKinds[noun].table} SET ${assignments.join(', ')} WHERE id = $1`, [
          id,
          ...changed.map(([, value]) => value),
        ]);
        await this.note(tx, `${noun}.change`, noun, id, by, Object.fromEntries(changed));
        return this.entryIn(tx, noun, reach, id);
      }),
    );
    await this.settings.afterChange?.(id);
    return after;
  }

  /** By id, or by a name that means one only. @throws SLU_ACCESS_OWNER_UNKNOWN */
  async entryIn<Noun extends DirectoryNoun>(
    tx: Tx,
    noun: Noun,
    reach: Reach,
    id: string,
    lock: 'FOR UPDATE' | '' = '',
  ): Promise<DirectoryViews[Noun]> {
    const parameters: unknown[] = [id];
    const where = whereWithin(reach, directoryKinds[noun].ownership, parameters);
    const rows: DirectoryViews[Noun][] = isUuid(id)
      ? await tx.query(`${select(noun)} WHERE id = $1 AND ${where} ${lock}`, parameters)
      : [];
    const [row] = rows;
    if (row === undefined) throw sluiceError('SLU_ACCESS_OWNER_UNKNOWN', { kind: wordOf(noun), id: id.slice(0, 100) });
    return row;
  }

  /** The tenant in which something is to be made. @throws SLU_ACCESS_OWNER_UNKNOWN */
  async tenantFor(principal: Principal, action: Action, id = principal.tenantId): Promise<string> {
    const reach = requireReach(principal, action);
    return (await this.settings.database.read((tx) => this.entryIn(tx, 'tenant', reach, id))).id;
  }

  /** The project in which something is to be made. @throws SLU_ACCESS_OWNER_UNKNOWN */
  async projectFor(
    principal: Principal,
    action: Action,
    id = principal.projectId,
  ): Promise<{ tenantId: string; projectId: string }> {
    const reach = requireReach(principal, action);
    const project = await this.settings.database.read((tx) => this.entryIn(tx, 'project', reach, id));
    return { tenantId: project.tenantId, projectId: project.id };
  }

  private async note(
    tx: Tx,
    action: string,
    noun: DirectoryNoun,
    id: string,
    { actor, requestId }: ChangedBy,
    detail: Record<string, string | null>,
  ): Promise<void> {
    // Who somebody is at their issuer stays in the row of the person, where it can be erased.
    const { subject: _subject, ...shown } = detail;
    const { table, ownership } = directoryKinds[noun];
    const [row] = (await tx.query(`SELECT ${ownership.tenantId} AS "tenantId" FROM ${table} WHERE id = $1`, [id])) as {
      tenantId: string;
    }[];
    const concerned = { resource: `${noun}:${id}`, tenantId: row?.tenantId };
    await appendAudit(tx, { actor, action, ...concerned, outcome: 'done', requestId, detail: shown });
  }
}

const uuidPattern = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
export const isUuid = (text: string): boolean => uuidPattern.test(text);

export const wordOf = (noun: DirectoryNoun): string => noun.replace('-', ' ');

function select(noun: DirectoryNoun): string {
  const { table, columns } = directoryKinds[noun];
  const own = Object.entries(columns).map(([member, column]) => `${column} AS "${member}"`);
  return `SELECT id, ${own.join(', ')}, state, created_at AS "createdAt", created_by AS "createdBy" FROM ${table}`;
}

function columnOf(noun: DirectoryNoun, member: string): string {
  const column = member === 'state' ? 'state' : directoryKinds[noun].columns[member];
  if (column === undefined) throw new Error(`a ${noun} has no ${member}`);
  return column;
}

function refuseEndOfDefaults(id: string, { state, name }: DirectoryChange): void {
  if (id !== defaultTenantId) return;
  const problem = 'that of the default tenant and project cannot be changed: whoever runs the platform is in it';
  if (state === 'suspended') throw sluiceError('SLU_REQUEST_INVALID', { field: 'state', problem });
  if (name !== undefined) throw sluiceError('SLU_REQUEST_INVALID', { field: 'name', problem });
}

async function guardUnique<T>(noun: DirectoryNoun, entry: object, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    if (!isUniqueViolation(cause)) throw cause;
    const { unique } = directoryKinds[noun];
    const value = (entry as Record<string, string | undefined>)[unique] ?? '';
    throw sluiceError('SLU_ACCESS_OWNER_CONFLICT', { kind: wordOf(noun), field: unique, value }, { cause });
  }
}
