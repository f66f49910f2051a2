import type { StructuredRule } from './structured-rule.js';

export const secretRules: readonly StructuredRule[] = [
  {
    type: 'secret',
    needs: /-----BEGIN/,
    pattern:
      /-----BEGIN [A-Z ]{0,30}PRIVATE KEY(?: BLOCK)?-----[\s\S]{0,10000}?(?:-----END [A-Z ]{0,30}PRIVATE KEY(?: BLOCK)?-----|$)/g,
  },
  // Bearer tokens, JSON Web Tokens, and the prefixes by which widely used services mark their keys.
  { type: 'secret', needs: /bearer/i, pattern: /\b[Bb]earer\s{1,4}([\w.~+/-]{8,4096}=*)/g },
  { type: 'secret', needs: /eyJ/, pattern: /\beyJ[\w-]{8,4096}\.[\w-]{4,4096}\.[\w-]{0,4096}/g },
  {
    type: 'secret',
    needs:
      /sk[-_]|pk[-_]|rk[-_]|slu|gh[opsur]_|github_pat|xox|A[KS]IA|AIza|glpat|npm_|hf_|SG\.|dop_v1|ya29|pypi-|whsec/,
    pattern:
      /(?<![\dA-Za-z])(?:(?:sk|pk|rk|slu|gh[opsur]|github_pat|glpat|npm|hf|dop_v1|pypi|whsec)[-_][A-Za-z0-9][\w-]{14,512}|xox[abeprs]-[\w-]{10,512}|A[KS]IA[A-Z\d]{16}|AIza[\w-]{35}|SG\.[\w-]{16,64}\.[\w-]{16,64}|ya29\.[\w-]{20,512})/g,
  },
  {
    type: 'secret',
    needs: /key|token|secret/i,
    pattern:
      /\b(?:api|access|secret|auth|private|client)[ _-]?(?:key|token|secret)(?: is| ?[:=])[ "'`]{0,3}((?=[\w+/.=-]{0,64}\d)[\w+/.=-]{12,512})/gi,
  },
  {
    type: 'secret',
    needs: /pass|pwd|\bpin\b|passcode/i,
    pattern:
      /\b(?:pass ?word|passwd|pwd|passcode|passphrase|pin(?: code| number)?)(?: is|'s| was| ?[:=]) ?["“'`]?((?=\S{0,40}[\d!@#$%^&*_])[^\s"”'`,;]{4,64}(?<![.,;:]))/gi,
  },
  { type: 'secret', needs: /:\/\//, pattern: /\b[a-z][a-z\d+.-]{1,20}:\/\/[^\s:/@]{1,64}:([^\s:/@]{1,128})(?=@)/gi },
];
