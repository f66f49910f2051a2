import { certificateKeyId } from '#libs/control';
import { createPublicKey, type KeyObject } from 'node:crypto';

/** The public half of the key that signs certificates of erasure. */
export class CertificateKey {
  readonly view: { keyId: string; publicKeyPem: string };

  constructor(privateKey: KeyObject) {
    const publicKey = createPublicKey(privateKey);
    this.view = {
      keyId: certificateKeyId(publicKey),
      publicKeyPem: publicKey.export({ format: 'pem', type: 'spki' }) as string,
    };
  }
}
