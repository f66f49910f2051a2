import { randomUUID } from 'node:crypto';
import { appendAudit } from '#libs/audit';
import { isSluiceError, minutes, secondsToMs, type Clock } from '#libs/kernel';
import type { Database, Tx } from '#libs/store';
import { defaultTenantId } from '../principal.js';
import { invalid } from './token-check.js';

/** Who signs in, as the checked token says. */
export interface SignIn {
  issuer: string;
  subject: string;
  name: string;
  /** Undefined: everybody is of the default tenant. Null: the token should name one and does not. */
  tenantName: string | null | undefined;
}

export interface KnownPerson {
  id: string;
  name: string;
  tenantId: string;
  projectId: string;
  tier: string;
}

interface PersonRow extends KnownPerson {
  tenantName: string;
  isActive: boolean;
}

export interface PeopleBookSettings {
  database: Database;
  clock: Clock;
  /** How long somebody who was here stays known while the database is away. */
  graceSeconds?: number | undefined;
}

const rememberedLimit = 10_000;

const selectPerson = `SELECT h.id, h.name, h.tenant_id AS "tenantId", t.name AS "tenantName", t.tier, p.id AS "projectId",
  h.state = 'active' AND t.state = 'active' AND p.state = 'active' AS "isActive"
  FROM people h JOIN tenants t ON t.id = h.tenant_id JOIN projects p ON p.tenant_id = t.id
  WHERE h.issuer = $1 AND h.subject = $2 ORDER BY p.name <> 'default', p.created_at LIMIT 1`;

/** People by who they are at their issuer. Whoever is seen for the first time is written down, with an audit row. */
export class PeopleBook {
  private readonly remembered = new Map<string, { row: PersonRow; atMs: number }>();

  constructor(private readonly settings: PeopleBookSettings) {}

  /** @throws SLU_ACCESS_TOKEN_INVALID when suspended, or of no tenant or another than before; SLU_PLATFORM_DATABASE_DOWN */
  async find(signIn: SignIn): Promise<KnownPerson> {
    if (signIn.tenantName === null) throw invalid('it names no tenant');
    const row = await this.rowOf(signIn);
    if (!row.isActive) throw invalid('whom it stands for is suspended here');
    const isElsewhere =
      signIn.tenantName === undefined ? row.tenantId !== defaultTenantId : row.tenantName !== signIn.tenantName;
    // Whatever is theirs would change its owner with them. Only an admin may do that, by another person.
    if (isElsewhere) throw invalid('it names another tenant than before');
    const { id, name, tenantId, projectId, tier } = row;
    return { id, name, tenantId, projectId, tier };
  }

  /** What was remembered may have changed. */
  forget(): void {
    this.remembered.clear();
  }

  private async rowOf(signIn: SignIn): Promise<PersonRow> {
    const key = JSON.stringify([signIn.issuer, signIn.subject]);
    try {
      const row = (await this.read(signIn)) ?? (await this.writeDown(signIn));
      this.remember(key, row);
      return row;
    } catch (failure) {
      const { clock, graceSeconds = minutes(15) } = this.settings;
      const known = this.remembered.get(key);
      const isAway = isSluiceError(failure) && failure.code === 'SLU_PLATFORM_DATABASE_DOWN';
      if (isAway && known !== undefined && clock.monotonicMs() - known.atMs < secondsToMs(graceSeconds))
        return known.row;
      throw failure;
    }
  }

  private async read({ issuer, subject }: SignIn): Promise<PersonRow | undefined> {
    return (await this.settings.database.query<PersonRow>(selectPerson, [issuer, subject]))[0];
  }

  private async writeDown(signIn: SignIn): Promise<PersonRow> {
    await this.settings.database.run((tx) => this.writeDownIn(tx, signIn));
    const row = await this.read(signIn);
    if (row === undefined) throw invalid('its tenant has no project');
    return row;
  }

  private async writeDownIn(tx: Tx, signIn: SignIn): Promise<void> {
    const { issuer, subject, name, tenantName } = signIn;
    const tenantId = tenantName === undefined ? defaultTenantId : await tenantIn(tx, tenantName!);
    const id = randomUUID();
    // Two requests of one new person make one person.
    const made: unknown[] = await tx.query(
      `INSERT INTO people (id, tenant_id, name, issuer, subject, created_by) VALUES ($1, $2, $3, $4, $5, 'system')
       ON CONFLICT (issuer, subject) DO NOTHING RETURNING id`,
      [id, tenantId, name, issuer, subject],
    );
    if (made.length === 0) return;
    const detail = { tenantId, issuer };
    const event = {
      actor: `person:${id}`,
      action: 'person.create',
      resource: `person:${id}`,
      outcome: 'done',
    } as const;
    await appendAudit(tx, { ...event, tenantId, detail });
  }

  private remember(key: string, row: PersonRow): void {
    this.remembered.delete(key);
    if (this.remembered.size >= rememberedLimit) this.remembered.clear();
    this.remembered.set(key, { row, atMs: this.settings.clock.monotonicMs() });
  }
}

async function tenantIn(tx: Tx, name: string): Promise<string> {
  const rows: { id: string }[] = await tx.query('SELECT id FROM tenants WHERE name = $1', [name]);
  if (rows[0] === undefined) throw invalid('it names a tenant that there is not');
  return rows[0].id;
}
