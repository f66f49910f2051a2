import type { Database } from '#libs/store';
import { budgetColumns, budgetOf, type Account, type Budget, type BudgetRow } from './budget.js';

const none: readonly Budget[] = [];

/** All budgets that are in force, in memory, by whose they are. */
export class BudgetBook {
  private bySubject = new Map<string, Budget[]>();
  private byId = new Map<string, Budget>();
  // Looked up once per key and reading of the budgets.
  private byKey = new Map<string, readonly Budget[]>();

  constructor(private readonly database: Pick<Database, 'query'>) {}

  get all(): Iterable<Budget> {
    return this.byId.values();
  }

  async load(): Promise<void> {
    const rows = await this.database.query<BudgetRow>(
      `SELECT ${budgetColumns} FROM budgets WHERE ended_at IS NULL ORDER BY id`,
    );
    const bySubject = new Map<string, Budget[]>();
    const byId = new Map<string, Budget>();
    for (const row of rows) {
      const budget = budgetOf(row);
      const subject = `${budget.subject.kind} ${budget.subject.id}`;
      bySubject.set(subject, [...(bySubject.get(subject) ?? []), budget]);
      byId.set(budget.id, budget);
    }
    Object.assign(this, { bySubject, byId, byKey: new Map() });
  }

  /** Those that a request of this account counts against. */
  of(account: Account): readonly Budget[] {
    if (this.byId.size === 0) return none;
    let found = this.byKey.get(account.keyId);
    if (found === undefined) {
      const { keyId, projectId, tenantId } = account;
      const subjects = [`key ${keyId}`, `project ${projectId}`, `tenant ${tenantId}`];
      found = subjects.flatMap((subject) => this.bySubject.get(subject) ?? []);
      this.byKey.set(keyId, found);
    }
    return found;
  }

  find(id: string): Budget | undefined {
    return this.byId.get(id);
  }
}
