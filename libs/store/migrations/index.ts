import { FirstLight1763900000001 } from './0001-first-light.js';
import { ArtifactTrust1763900000005 } from './0005-artifact-trust.js';
import { EndpointPolicies1763900000006 } from './0006-endpoint-policies.js';

/** In order. Forward only, one concern each. */
export const migrations = [FirstLight1763900000001, ArtifactTrust1763900000005, EndpointPolicies1763900000006];
