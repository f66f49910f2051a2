import { InProcessLimitStore } from '../../libs/access/limits/adapters/in-process/in-process-limit-store.js';
import { Limits } from '../../libs/access/limits/limits.js';
import { Admissions } from '../../apps/api/http/admissions.js';

/** Lets everybody in: for tests of something else. */
export const openAdmissions = new Admissions(
  new Limits({
    store: new InProcessLimitStore(),
    book: {
      revision: 0,
      tier: () => ({ key: {}, project: {}, tenant: {}, management: { perSecond: 1, burst: 1 } }),
      allowance: (_scope, _subject, tier) => tier ?? {},
      hasOverride: () => false,
    },
  }),
  { note: () => undefined },
);
