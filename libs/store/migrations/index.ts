import { FirstLight1763900000001 } from './0001-first-light.js';
import { LanguageRecords1763900000003 } from './0003-language-records.js';

/** In order. Forward only, one concern each. */
export const migrations = [FirstLight1763900000001, LanguageRecords1763900000003];
