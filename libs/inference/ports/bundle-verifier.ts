/** Who signed a Sigstore bundle, as its certificate says. */
export interface BundleIdentity {
  /** The OpenID provider that vouched for the subject. */
  issuer: string;
  /** An e-mail address, or the URI of a workflow. */
  subject: string;
}

/** Checks Sigstore bundles without the network. */
export interface BundleVerifier {
  /** @param bundle parsed JSON @param content what was signed @returns the signer, or why the bundle is no proof */
  verify(bundle: unknown, content: Buffer): BundleIdentity | { problem: string };
}

/** Without a trust root nothing that a bundle says can be believed. */
export const noBundleVerifier: BundleVerifier = {
  verify: () => ({ problem: 'this server has no Sigstore trust root; the operator sets SLUICE_SIGSTORE_TRUST_ROOT' }),
};
