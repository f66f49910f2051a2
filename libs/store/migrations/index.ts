import { FirstLight1763900000001 } from './0001-first-light.js';

/** In order. Forward only, one concern each. */
export const migrations = [FirstLight1763900000001];
