import { sluiceError } from '#libs/kernel';
import { sluiceCauseOf } from '#libs/platform';
import { shownName } from './artifact-refusal.js';
import type { ArtifactStaging } from './artifact-staging.js';

/** Fetches artifacts by one protocol into a staging folder, as streams, within the limits that hold there. */
export interface ArtifactFetcher {
  /** @throws SLU_ARTIFACT_* */
  fetch(source: string, staging: ArtifactStaging, signal: AbortSignal): Promise<void>;
}

export type SourceAccess =
  | { kind: 'any' }
  /** Beginnings that a source must have, up to a `/`, a `:` or a `@`. */
  | { kind: 'listed'; prefixes: readonly string[] }
  | { kind: 'closed'; problem: string };

export interface ArtifactSourcesSettings {
  access: SourceAccess;
  /** By scheme, without the colon. */
  fetchers: Readonly<Record<string, ArtifactFetcher>>;
  /** For the whole of one artifact. */
  limitSeconds?: number;
}

const defaultLimitSeconds = 3_600;

/** Where artifacts may be fetched from besides a folder or an upload. */
export class ArtifactSources {
  constructor(private readonly settings: ArtifactSourcesSettings) {}

  /** @throws SLU_ARTIFACT_SOURCE_CLOSED, SLU_ARTIFACT_SOURCE_FAILED, and whatever is wrong with what was fetched */
  async fetch(source: string, staging: ArtifactStaging, signal?: AbortSignal): Promise<void> {
    const { fetchers, limitSeconds = defaultLimitSeconds } = this.settings;
    const fetcher = fetchers[source.slice(0, Math.max(0, source.indexOf('://')))];
    if (fetcher === undefined) {
      const known = Object.keys(fetchers)
        .map((scheme) => `${scheme}://`)
        .join(' or ');
      throw closed(`${shownName(source)} must begin with ${known}`);
    }
    this.refuseUnlisted(source);
    const timeUp = AbortSignal.timeout(limitSeconds * 1_000);
    const either = signal === undefined ? timeUp : AbortSignal.any([timeUp, signal]);
    try {
      await fetcher.fetch(source, staging, either);
    } catch (failure) {
      const nested = sluiceCauseOf(failure);
      if (nested !== undefined) throw nested.code === 'SLU_OUTBOUND_REFUSED' ? closed(nested.message) : nested;
      throw sourceFailed(timeUp.aborted ? `it took longer than ${limitSeconds} s` : reasonOf(failure), failure);
    }
  }

  private refuseUnlisted(source: string): void {
    const { access } = this.settings;
    if (access.kind === 'any') return;
    if (access.kind === 'closed') throw closed(access.problem);
    const isListed = access.prefixes.some(
      (prefix) =>
        source === prefix ||
        (source.startsWith(prefix) && (/[/:@]$/.test(prefix) || /^[/:@]/.test(source.slice(prefix.length)))),
    );
    if (!isListed) throw closed(`${shownName(source)} lies outside the sources that the operator opened`);
  }
}

export const closed = (problem: string): Error => sluiceError('SLU_ARTIFACT_SOURCE_CLOSED', { problem });

export const sourceFailed = (problem: string, cause?: unknown): Error =>
  sluiceError('SLU_ARTIFACT_SOURCE_FAILED', { problem }, { cause });

/** Codes of the network and of SDKs, never their texts: those may repeat what a stranger's server said. */
function reasonOf(failure: unknown): string {
  const { code, name, cause } = (failure ?? {}) as { code?: unknown; name?: unknown; cause?: { code?: unknown } };
  const word = [code, cause?.code, name].find((each) => typeof each === 'string' && /^[A-Za-z_]{3,60}$/.test(each));
  return typeof word === 'string' ? word : 'the connection failed';
}
