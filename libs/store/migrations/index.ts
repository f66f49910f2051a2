import { FirstLight1763900000001 } from './0001-first-light.js';
import { Quarantine1763900000008 } from './0008-quarantine.js';

/** In order. Forward only, one concern each. */
export const migrations = [FirstLight1763900000001, Quarantine1763900000008];
