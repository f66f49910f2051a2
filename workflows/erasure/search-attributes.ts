import { defineSearchAttributeKey } from '@temporalio/common';

/** By the pseudonym the Temporal UI finds the erasures of a subject. */
export const subjectAttribute = defineSearchAttributeKey('SluiceSubject', 'KEYWORD');
