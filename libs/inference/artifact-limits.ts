import { gibibytes, mebibytes } from '#libs/kernel';

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
}

export const defaultArtifactLimits: ArtifactLimits = {
  totalBytes: gibibytes(2),
  fileBytes: gibibytes(2),
  manifestBytes: mebibytes(1),
  entries: 2_000,
  ratio: 200,
  ratioFromBytes: mebibytes(16),
};
