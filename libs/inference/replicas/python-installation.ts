import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { GuardedChild } from '#libs/platform';
import type { PythonFramework } from './python-environment.js';

const run = promisify(execFile);

export interface InstallationSettings {
  framework: PythonFramework;
  folder: string;
  env: Readonly<Record<string, string | undefined>>;
  signal: AbortSignal;
  onLine: (line: string) => void;
}

const keptLines = 40;
const longestReason = 400;

/** Makes one virtual environment, by `uv` where the PATH has it and by pip otherwise. */
export class Installation {
  private readonly env: Record<string, string>;

  constructor(private readonly settings: InstallationSettings) {
    const entries = Object.entries(settings.env).filter((entry): entry is [string, string] => entry[1] !== undefined);
    this.env = Object.fromEntries(entries.filter(([name]) => handedOn.test(name)));
  }

  /** @throws Error whose message says what failed, and what to do */
  async run(): Promise<void> {
    const { framework, folder } = this.settings;
    const python = await this.findPython();
    const uv = (await this.isPipTold(python)) ? undefined : findProgram('uv', this.env['PATH']);
    await this.step(python, ['-m', 'venv', ...(uv === undefined ? [] : ['--without-pip']), folder]);
    for (const file of framework.requirements) await this.install(uv, file);
    const { addition } = framework;
    if (addition !== undefined && (await isInstalled(folder, addition.whenPresent)))
      await this.install(uv, addition.requirements);
  }

  private async install(uv: string | undefined, requirements: string): Promise<void> {
    const python = path.join(this.settings.folder, 'bin', 'python');
    // The files are complete, so nothing is resolved: what is installed is what stands there.
    if (uv !== undefined)
      return this.step(uv, ['pip', 'install', '--no-progress', '--python', python, '--no-deps', '-r', requirements]);
    const quiet = ['--disable-pip-version-check', '--no-input', '--progress-bar', 'off'];
    await this.step(python, ['-m', 'pip', 'install', ...quiet, '--no-deps', '-r', requirements]);
  }

  /** Do pip's own settings, in the environment or in its files, say where packages come from? uv does not read them. */
  private async isPipTold(python: string): Promise<boolean> {
    const args = ['-m', 'pip', 'config', 'list', '--disable-pip-version-check'];
    const settings = await run(python, args, { env: this.env }).catch(() => ({ stdout: '' }));
    return /\b(index-url|extra-index-url|no-index)=/.test(settings.stdout);
  }

  private async findPython(): Promise<string> {
    const { framework, env } = this.settings;
    const [first, last] = framework.pythons;
    const wanted = `the environment for ${framework.name} needs Python 3.${first} to 3.${last} with venv`;
    const named = env['SLUICE_PYTHON'];
    const python = named === undefined || named === '' ? findProgram('python3', this.env['PATH']) : named;
    if (python === undefined) throw new Error(`${wanted}, and there is no python3 on the PATH`);
    const advice = 'name another by SLUICE_PYTHON';
    let version: string;
    try {
      version = (await run(python, ['-c', 'import sys; print("%d.%d" % sys.version_info[:2])'], { env: this.env }))
        .stdout;
    } catch {
      throw new Error(`${wanted}, and ${python} does not run: ${advice}`);
    }
    const [major, minor] = version.trim().split('.').map(Number);
    if (major !== 3 || minor === undefined || minor < first || minor > last)
      throw new Error(`${wanted}, and ${python} is ${version.trim()}: ${advice}`);
    return python;
  }

  private async step(command: string, args: readonly string[]): Promise<void> {
    const { signal, onLine, framework } = this.settings;
    signal.throwIfAborted();
    const lines: string[] = [];
    await using child = await GuardedChild.start({
      command,
      args,
      env: this.env,
      stopSignal: 'SIGTERM',
      onLine: (line) => {
        lines.push(line);
        if (lines.length > keptLines) lines.shift();
        onLine(line);
      },
    });
    const stop = (): void => void child.stop();
    signal.addEventListener('abort', stop, { once: true });
    const how = await child.exited();
    signal.removeEventListener('abort', stop);
    signal.throwIfAborted();
    if (how === 'code 0') return;
    throw new Error(`the Python environment for ${framework.name} could not be made (${how}): ${reasonIn(lines)}`);
  }
}

/** Installers get what says where packages are and how to reach them, and no setting of Sluice or its databases. */
const handedOn =
  /^(PATH|HOME|LANG|LC_.*|TMPDIR|XDG_.*|PIP_.*|UV_.*|SSL_CERT_.*|REQUESTS_CA_BUNDLE|NETRC|(https?|no|all)_proxy)$/i;

function reasonIn(lines: readonly string[]): string {
  const said = lines.map((line) => line.trim()).filter((line) => line !== '');
  const reason = said.findLast((line) => /^(error|ERROR|cause|Error)\b|ensurepip is not/.test(line)) ?? said.at(-1);
  return (reason ?? 'it said nothing').slice(0, longestReason);
}

function findProgram(program: string, searchPath: string | undefined): string | undefined {
  const folders = (searchPath ?? '').split(path.delimiter).filter((folder) => folder !== '');
  return folders.map((folder) => path.join(folder, program)).find((candidate) => existsSync(candidate));
}

async function isInstalled(folder: string, file: string): Promise<boolean> {
  const pythons = await readdir(path.join(folder, 'lib'));
  return pythons.some((python) => existsSync(path.join(folder, 'lib', python, 'site-packages', file)));
}
