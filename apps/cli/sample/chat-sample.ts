import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf, minutes, secondsToMs } from '#libs/kernel';
import { fetchSmolLm2, loadConfig, smolLm2 } from '#libs/platform';
import { Progress } from '../start/progress.js';

const endpoint = 'chat';
const readyDeadlineMs = secondsToMs(minutes(3));

/** What the person can mend, in one sentence. */
class SampleRefused extends Error {
  override readonly name = 'SampleRefused';
}

/**
 * Makes the endpoint `chat` of a running Sluice: fetches a small language model, registers it, and waits until it answers.
 * What is there already is left as it is, so it may be repeated.
 */
export async function offerChat(env: NodeJS.ProcessEnv): Promise<void> {
  const progress = new Progress((text) => void process.stdout.write(text));
  try {
    const api = await RunningApi.of(env);
    const folder = await progress.step('model', 'SmolLM2-135M-Instruct', (say) => fetchSmolLm2(api.toolsFolder, say));
    await progress.step('register', `${smolLm2.model} version ${smolLm2.version}`, () => register(api, folder));
    await progress.step('endpoint', endpoint, (say) => makeEndpoint(api, say));
    await progress.step('ready', 'loading the model', () => waitUntilReady(api));
    progress.line(`\n${invitation(api)}`);
  } catch (error) {
    process.stderr.write(`\nthe sample could not be set up: ${messageOf(error)}\n`);
    process.exitCode = 1;
  }
}

/** The API that this environment leads to, with the admin's key. */
class RunningApi {
  private constructor(
    readonly base: string,
    readonly home: string,
    private readonly key: string,
  ) {}

  static async of(env: NodeJS.ProcessEnv): Promise<RunningApi> {
    const { home, host, port } = loadConfig(env);
    const keyPath = join(home, 'admin-key');
    const key = await readFile(keyPath, 'utf8').catch(() => {
      throw new SampleRefused(`there is no ${keyPath}. Start Sluice first (npm start), with the same SLUICE_HOME`);
    });
    const api = new RunningApi(`http://${host.includes(':') ? `[${host}]` : host}:${port}`, home, key.trim());
    await api.ask('GET', '/v2/health/live');
    return api;
  }

  get toolsFolder(): string {
    return join(this.home, 'tools');
  }

  async ask(
    method: string,
    path: string,
    body?: object,
  ): Promise<{ status: number; content: Record<string, unknown> }> {
    const headers = { authorization: `Bearer ${this.key}`, 'content-type': 'application/json' };
    const answer = await fetch(`${this.base}${path}`, {
      method,
      headers,
      ...(body !== undefined && { body: JSON.stringify(body) }),
    }).catch((cause: unknown) => {
      throw new SampleRefused(
        `nothing answers at ${this.base}. Start Sluice first (npm start), with the same SLUICE_PORT`,
        { cause },
      );
    });
    const content = (await answer.json().catch(() => ({}))) as Record<string, unknown>;
    return { status: answer.status, content };
  }
}

async function register(api: RunningApi, folder: string): Promise<void> {
  const { status, content } = await api.ask('POST', '/api/models', { path: folder });
  if (status === 200 || status === 201) return;
  const hint = content['code'] === 'SLU_ARTIFACT_FOLDER_CLOSED' ? ` (add ${folder} to SLUICE_ARTIFACT_ROOTS)` : '';
  throw new SampleRefused(`registering answers ${status}: ${detailOf(content)}${hint}`);
}

async function makeEndpoint(api: RunningApi, say: (text: string) => void): Promise<void> {
  const { model, version } = smolLm2;
  const { status, content } = await api.ask('POST', '/api/endpoints', { name: endpoint, model, version });
  if (status === 201) return;
  if (content['code'] !== 'SLU_ENDPOINT_CONFLICT')
    throw new SampleRefused(`creating the endpoint answers ${status}: ${detailOf(content)}`);
  const existing = await api.ask('GET', `/api/endpoints/${endpoint}`);
  if (existing.content['model'] !== model)
    throw new SampleRefused(
      `there is an endpoint ${endpoint} already, of the model ${String(existing.content['model'])}`,
    );
  say('is there already');
}

async function waitUntilReady(api: RunningApi): Promise<void> {
  const deadline = performance.now() + readyDeadlineMs;
  for (;;) {
    const { status } = await api.ask('GET', `/v2/models/${endpoint}/ready`);
    if (status === 200) return;
    if (performance.now() > deadline)
      throw new SampleRefused(`it is not ready after ${readyDeadlineMs / 1_000} s: GET /api/replicas says why`);
    await sleep(250);
  }
}

const invitation = ({ base, home }: RunningApi): string => `Ask it:

  curl -s ${base}/v1/chat/completions -H "Authorization: Bearer $(cat ${join(home, 'admin-key')})" \\
    -H 'content-type: application/json' \\
    -d '{"model":"${endpoint}","messages":[{"role":"user","content":"What is the capital of France?"}]}'`;

const detailOf = ({ detail, ...rest }: Record<string, unknown>): string =>
  typeof detail === 'string' ? detail : JSON.stringify(rest);
