import { readFile } from 'node:fs/promises';
import { sluiceError } from '#libs/kernel';
import { bundleFromJSON, isBundleWithMessageSignature } from '@sigstore/bundle';
import { TrustedRoot } from '@sigstore/protobuf-specs';
import { toSignedEntity, toTrustMaterial, VerificationError, Verifier } from '@sigstore/verify';
import type { BundleIdentity, BundleVerifier } from '../../ports/bundle-verifier.js';

const setting = 'SLUICE_SIGSTORE_TRUST_ROOT';

/**
 * Sigstore bundles against a trust root that the operator supplies as a file (`trusted_root.json`): certificate chain, CT log,
 * transparency log and a timestamp, all offline.
 * https://github.com/sigstore/protobuf-specs/blob/main/protos/sigstore_bundle.proto
 */
export class SigstoreVerifier implements BundleVerifier {
  private readonly verifier: Verifier;

  /** @param trustedRoot parsed JSON @throws SLU_PLATFORM_SETTING */
  constructor(trustedRoot: unknown) {
    try {
      const material = toTrustMaterial(TrustedRoot.fromJSON(trustedRoot));
      for (const part of ['certificateAuthorities', 'tlogs', 'ctlogs'] as const)
        if (material[part].length === 0) throw new Error(`it names no ${part}`);
      this.verifier = new Verifier(material, { ctlogThreshold: 1, tlogThreshold: 1, timestampThreshold: 1 });
    } catch (cause) {
      throw sluiceError('SLU_PLATFORM_SETTING', { name: setting, problem: 'is no Sigstore trusted root' }, { cause });
    }
  }

  /** @throws SLU_PLATFORM_SETTING when the file cannot be read */
  static async open(path: string): Promise<SigstoreVerifier> {
    let value: unknown;
    try {
      value = JSON.parse(await readFile(path, 'utf8'));
    } catch (cause) {
      throw sluiceError('SLU_PLATFORM_SETTING', { name: setting, problem: 'cannot be read as JSON' }, { cause });
    }
    return new SigstoreVerifier(value);
  }

  verify(value: unknown, content: Buffer): BundleIdentity | { problem: string } {
    try {
      const bundle = bundleFromJSON(value);
      if (!isBundleWithMessageSignature(bundle))
        return { problem: 'it is an attestation; sign the digest itself (cosign sign-blob)' };
      const { identity } = this.verifier.verify(toSignedEntity(bundle, content));
      const subject = identity?.subjectAlternativeName;
      const issuer = identity?.extensions?.issuer;
      if (subject === undefined || issuer === undefined) return { problem: 'its certificate names no signer' };
      return { issuer, subject };
    } catch (failure) {
      return { problem: failure instanceof VerificationError ? failure.message : 'it is no Sigstore bundle' };
    }
  }
}
