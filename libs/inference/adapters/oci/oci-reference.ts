import { refused } from '../../artifacts/artifact-refusal.js';

/** `oci://registry[:port]/repository[:tag|@sha256:...]`, by the grammar of the distribution specification. */
export interface OciReference {
  /** With its port, when one is given. */
  registry: string;
  repository: string;
  /** A tag, or `sha256:` and 64 hex digits. */
  reference: string;
}

const pattern =
  /^oci:\/\/((?:[a-z0-9-]+(?:\.[a-z0-9-]+)*|\[[0-9a-f:]+\])(?::\d{1,5})?)\/([a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*)(?::([A-Za-z0-9_][A-Za-z0-9._-]{0,127}))?(?:@(sha256:[0-9a-f]{64}))?$/;
const longest = 512;

/** @throws SLU_ARTIFACT_REFUSED */
export function parseOciReference(source: string): OciReference {
  const match = source.length <= longest ? pattern.exec(source) : null;
  const [, registry, repository, tag, digest] = match ?? [];
  if (registry === undefined || repository === undefined)
    throw refused('source: must be oci://registry/repository:tag or oci://registry/repository@sha256:digest');
  // A digest beside a tag wins: it says exactly what is meant.
  return { registry, repository, reference: digest ?? tag ?? 'latest' };
}
