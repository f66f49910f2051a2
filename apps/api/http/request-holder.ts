import type { Principal } from '#libs/access';
import type { SubjectPseudonyms } from '#libs/audit';
import type { RequestHolder } from '#libs/inference';
import { sluiceError } from '#libs/kernel';

/** The header that names whom a request is about. */
export const subjectHeader = 'sluice-subject';

/**
 * Whose request it is. Of the name that the caller has for the person only a pseudonym goes on from here.
 * @param names as they came, the first that is there counts
 * @throws SLU_REQUEST_MALFORMED
 */
export function holderOf(
  { tenantId, projectId }: Pick<Principal, 'tenantId' | 'projectId'>,
  pseudonyms: Pick<SubjectPseudonyms, 'of'> | undefined,
  ...names: readonly unknown[]
): RequestHolder {
  const name = names.find((each) => typeof each === 'string');
  if (name === undefined || pseudonyms === undefined) return { tenantId, projectId };
  if (name === '')
    throw sluiceError('SLU_REQUEST_MALFORMED', { what: `${subjectHeader} is empty: name a person or leave it out` });
  return { tenantId, projectId, subject: pseudonyms.of(tenantId, name) };
}
