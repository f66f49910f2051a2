import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { pythonEnvironment } from '../../support/python-environment.ts';
import { toolsFolder } from '../../support/temporal.ts';
import { startPeer, type RunningPeer } from './peer-process.ts';

const run = promisify(execFile);

/** A gateway of others in front of the same upstream. */
export interface GatewayPeer {
  name: string;
  /** @param upstream base address of an OpenAI-compatible server, without `/v1` */
  start(upstream: string, body: string): Promise<RunningPeer>;
}

const json = { 'content-type': 'application/json' };
const path = '/v1/chat/completions';

/** Portkey's open-source gateway (TypeScript). It reads the upstream from headers, so each request carries them. */
const portkey: GatewayPeer = {
  name: 'portkey',
  start: async (upstream, body) => {
    const folder = await npmEnvironment('peer-portkey', '@portkey-ai/gateway@1.15.2');
    return startPeer({
      name: 'portkey',
      binFolder: join(folder, 'node_modules', '.bin'),
      command: async ({ port }) => [
        process.execPath,
        join(folder, 'node_modules/@portkey-ai/gateway/build/start-server.js'),
        '--headless',
        `--port=${port}`,
      ],
      request: ({ port }) => ({
        url: `http://127.0.0.1:${port}${path}`,
        headers: {
          ...json,
          authorization: 'Bearer upstream-key',
          'x-portkey-provider': 'openai',
          'x-portkey-custom-host': `${upstream}/v1`,
        },
        body,
      }),
    });
  },
};

/** LiteLLM's proxy (Python), one worker, with a master key and nothing else switched on. */
const litellm: GatewayPeer = {
  name: 'litellm',
  start: async (upstream, body) => {
    const python = await pythonEnvironment('peer-litellm', ['litellm[proxy]==1.108.7']);
    const key = 'sk-bench';
    return startPeer({
      name: 'litellm',
      binFolder: dirname(python),
      command: async ({ folder, port }) => {
        const model = { model: 'openai/bench', api_base: `${upstream}/v1`, api_key: 'upstream-key' };
        const config = {
          model_list: [{ model_name: (JSON.parse(body) as { model: string }).model, litellm_params: model }],
          litellm_settings: { telemetry: false },
          general_settings: { master_key: key },
        };
        // JSON is YAML as well.
        await writeFile(join(folder, 'config.yaml'), JSON.stringify(config));
        const where = ['--host', '127.0.0.1', '--port', String(port)];
        return ['litellm', '--config', join(folder, 'config.yaml'), '--num_workers', '1', ...where];
      },
      env: () => ({ LITELLM_LOG: 'ERROR', LITELLM_LOCAL_MODEL_COST_MAP: 'True' }),
      request: ({ port }) => ({
        url: `http://127.0.0.1:${port}${path}`,
        headers: { ...json, authorization: `Bearer ${key}` },
        body,
      }),
    });
  },
};

export const gatewayPeers: readonly GatewayPeer[] = [portkey, litellm];

/** A folder with one npm package, made once and kept for later runs. */
async function npmEnvironment(name: string, packageSpec: string): Promise<string> {
  const folder = join(toolsFolder, name);
  const marker = join(folder, 'complete');
  if (existsSync(marker)) return folder;
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, 'package.json'), JSON.stringify({ private: true }));
  await run('npm', ['install', '--no-audit', '--no-fund', '--loglevel=error', packageSpec], { cwd: folder });
  await mkdir(marker);
  return folder;
}
