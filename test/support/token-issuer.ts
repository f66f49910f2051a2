import { exportJWK, generateKeyPair, SignJWT, type GenerateKeyPairResult, type JWK, type JWTPayload } from 'jose';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface TokenIssuer extends AsyncDisposable {
  url: string;
  /** How often the keys were asked for. */
  asked: () => number;
  /** Answers nothing any more, or again. */
  setDown(isDown: boolean): void;
  /** Signs with another key from now on; the earlier ones are shown no more. */
  rotate(algorithm?: string): Promise<void>;
  publicKeyOf(): JWK;
  sign(claims: JWTPayload, header?: { alg?: string; kid?: string }): Promise<string>;
}

/** A small OpenID Connect issuer: its discovery document and its keys over real HTTP. */
export async function tokenIssuer(): Promise<TokenIssuer> {
  let [isDown, asked, serial] = [false, 0, 0];
  let [kid, alg, publicKey] = ['', '', {} as JWK];
  let privateKey: GenerateKeyPairResult['privateKey'];
  const server = createServer((req, res) => {
    if (isDown) return void res.destroy();
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    if (req.url === '/keys') asked += 1;
    const documents: Record<string, object> = {
      '/.well-known/openid-configuration': { issuer: url, jwks_uri: `${url}/keys` },
      '/keys': { keys: [{ ...publicKey, kid, alg, use: 'sig' }] },
    };
    const body = documents[req.url ?? ''];
    return void res.writeHead(body === undefined ? 404 : 200).end(JSON.stringify(body ?? {}));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const rotate = async (algorithm = 'ES256'): Promise<void> => {
    const pair = await generateKeyPair(algorithm, { extractable: true });
    privateKey = pair.privateKey;
    publicKey = await exportJWK(pair.publicKey);
    [kid, alg] = [`key-${(serial += 1)}`, algorithm];
  };
  await rotate();
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked: () => asked,
    setDown: (down) => (isDown = down),
    rotate,
    publicKeyOf: () => publicKey,
    sign: (claims, header = {}) => new SignJWT(claims).setProtectedHeader({ alg, kid, ...header }).sign(privateKey),
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
