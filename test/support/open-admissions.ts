import type { Allowance } from '#libs/access';
import { InProcessLimitStore } from '../../libs/access/limits/adapters/in-process/in-process-limit-store.js';
import { Limits } from '../../libs/access/limits/limits.js';
import { Admissions } from '../../apps/api/http/admissions.js';

/** Lets each key in as often as it is allowed. */
export const limitedAdmissions = (key: Allowance): Admissions =>
  new Admissions(
    new Limits({
      store: new InProcessLimitStore(),
      book: {
        revision: 0,
        tier: () => ({ key, project: {}, tenant: {}, management: { perSecond: 1, burst: 1 } }),
        allowance: (_scope, _subject, tier) => tier ?? {},
        hasOverride: () => false,
      },
    }),
    { note: () => undefined },
  );

/** Lets everybody in: for tests of something else. */
export const openAdmissions = limitedAdmissions({});
