import { gibibytes, kibibytes, mebibytes } from '#libs/kernel';

/** How large an artifact may be. All of it is counted while it streams, before a byte too many reaches the disk. */
export interface ArtifactLimits {
  /** Sum of all files, unpacked. */
  totalBytes: number;
  fileBytes: number;
  manifestBytes: number;
  /** Files and folders. */
  entries: number;
  /** Unpacked to packed, once `ratioFromBytes` have been unpacked. */
  ratio: number;
  ratioFromBytes: number;
  /** How long a download may keep us waiting in sum, besides what `slowestBytesPerSecond` grants it for what came. */
  patienceSeconds: number;
  /** A transfer slower than this is given up: it would hold its place in staging for days. */
  slowestBytesPerSecond: number;
}

export const defaultArtifactLimits: ArtifactLimits = {
  totalBytes: gibibytes(2),
  fileBytes: gibibytes(2),
  manifestBytes: mebibytes(1),
  entries: 2_000,
  ratio: 200,
  ratioFromBytes: mebibytes(16),
  patienceSeconds: 30,
  slowestBytesPerSecond: kibibytes(32),
};
