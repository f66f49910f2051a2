import { defineSearchAttributeKey } from '@temporalio/common';

/** By these the Temporal UI finds rollouts. They must be registered in the namespace before a workflow starts. */
export const endpointAttribute = defineSearchAttributeKey('SluiceEndpoint', 'KEYWORD');
export const modelVersionAttribute = defineSearchAttributeKey('SluiceModelVersion', 'KEYWORD');
export const phaseAttribute = defineSearchAttributeKey('SluicePhase', 'KEYWORD');
