import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

export interface GatewayUpstream extends Disposable {
  /** Without `/v1`. */
  base: string;
}

/** The server behind all gateways, in a process of its own. */
export async function startGatewayUpstream(): Promise<GatewayUpstream> {
  const child = fork(fileURLToPath(new URL('./gateway-upstream.mjs', import.meta.url)));
  const [{ port }] = (await once(child, 'message')) as [{ port: number }];
  return { base: `http://127.0.0.1:${port}`, [Symbol.dispose]: () => child.disconnect() };
}

/** A chat of one short message, as every gateway gets it. */
export const chatBody = (model: string, more: object = {}): string =>
  JSON.stringify({ model, messages: [{ role: 'user', content: 'Hello!' }], temperature: 0.7, max_tokens: 64, ...more });
