import type { Database } from '#libs/store';
import { usageSums, type UsageGroup, type UsageSum } from './usage-days.js';

/** Which tenant, project and key; what is left out is any. */
export interface UsageReach {
  tenantId?: string | undefined;
  projectId?: string | undefined;
  keyId?: string | undefined;
}

export interface UsageAsk {
  /** Days (UTC) as 2026-01-31, both included. */
  from?: string | undefined;
  to?: string | undefined;
  groupBy: readonly UsageGroup[];
  endpoint?: string | undefined;
  model?: string | undefined;
  asked: UsageReach;
  /** What the asking principal may see. */
  allowed: UsageReach;
}

export interface FoundUsage {
  from: string;
  to: string;
  /** There are not more groups than those given. */
  isComplete: boolean;
  usage: UsageSum[];
}

const mostRows = 10_000;

/** What was used, from sums that are kept as requests are settled. */
export class Usage {
  constructor(
    private readonly database: Database,
    /** Called before reading: what this process has not written yet comes with it. */
    private readonly flush: () => Promise<void> = async () => undefined,
  ) {}

  async find({ from, to, groupBy, endpoint, model, asked, allowed }: UsageAsk): Promise<FoundUsage> {
    await this.flush();
    const today = await this.today();
    const days = { from: from ?? `${(to ?? today).slice(0, 8)}01`, to: to ?? today };
    if (isOutside(asked, allowed)) return { ...days, isComplete: true, usage: [] };
    const query = { ...days, groupBy, endpoint, model, ...asked, ...allowed };
    const found = await usageSums(this.database, query, mostRows + 1);
    return { ...days, isComplete: found.length <= mostRows, usage: found.slice(0, mostRows) };
  }

  private async today(): Promise<string> {
    const [row] = await this.database.query<{ day: string }>(`SELECT (now() AT TIME ZONE 'UTC')::date::text AS day`);
    return row!.day;
  }
}

/** What one may not see is answered as what does not exist: with nothing. */
const isOutside = (asked: UsageReach, allowed: UsageReach): boolean =>
  (['tenantId', 'projectId', 'keyId'] as const).some(
    (member) => asked[member] !== undefined && allowed[member] !== undefined && asked[member] !== allowed[member],
  );
