export { SigstoreVerifier } from './sigstore-verifier.js';
