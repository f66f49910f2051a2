// Runs before anything is installed or built, so it is plain JavaScript for Node 20 without a single package.
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');

const oldestNode = 20;
const roomForPackagesBytes = 2 * 1024 ** 3;
const binFolder = join(root, 'node_modules', '.bin');
/** Node 24 from the package `node`, whatever version started this script. */
export const node = join(binFolder, process.platform === 'win32' ? 'node.exe' : 'node');

const sourceFolders = ['apps', 'libs', 'workflows', 'activities'];
const buildFiles = ['package.json', 'tsconfig.json', 'tsconfig.build.json', 'deploy/boot/prepare.mjs'];

/** Makes a checkout runnable: packages and build, each only when something has changed since. */
export async function prepare(progress) {
  if (Number(process.versions.node.split('.')[0]) < oldestNode) {
    throw new Error(
      `Node ${process.versions.node} is too old: Sluice needs Node ${oldestNode} or newer to set itself up`,
    );
  }
  await ensurePackages(progress);
  await ensureBuild(progress);
}

async function ensurePackages(progress) {
  const stamp = join(root, 'node_modules', '.sluice-packages');
  const wanted = digestOf([join(root, 'package-lock.json')]);
  if (existsSync(node) && existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return;
  const { bavail, bsize } = statfsSync(root);
  if (bavail * bsize < roomForPackagesBytes) {
    throw new Error(
      `not enough room on the disk of ${root}: the packages need 2 GiB, ${Math.floor((bavail * bsize) / 1024 ** 2)} MiB are free`,
    );
  }
  await progress('packages', 'installing (npm ci)', () =>
    run('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error'], 'the packages could not be installed', {
      // The script would only fetch CUDA files; the CPU library lies in the package. Older npm runs it unasked.
      env: { ...process.env, ONNXRUNTIME_NODE_INSTALL: 'skip' },
    }),
  );
  writeFileSync(stamp, wanted);
}

async function ensureBuild(progress) {
  const stamp = join(root, 'dist', '.sluice-build');
  const wanted = digestOf([...sourceFiles(), ...buildFiles.map((file) => join(root, file))]);
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return;
  await progress('build', 'compiling', async () => {
    await run(node, [join(root, 'node_modules/typescript/bin/tsc'), '-p', 'tsconfig.build.json'], 'the build failed');
    removeOrphans();
    await run(node, [join(root, 'deploy/boot/bundle-workflows.mjs')], 'the workflows could not be bundled');
    mkdirSync(join(root, 'dist'), { recursive: true });
    writeFileSync(stamp, wanted);
  });
}

// A module that is gone must not be found by its old path. The folder as a whole stays: a Sluice that runs from this
// checkout may have to start one of its processes again in the middle of the build.
function removeOrphans() {
  for (const file of filesBelow('dist', sourceFolders, /\.js$/)) {
    const source = file.replace(join(root, 'dist'), root).replace(/\.js$/, '.ts');
    if (!existsSync(source)) for (const orphan of [file, `${file}.map`]) rmSync(orphan, { force: true });
  }
}

function sourceFiles() {
  return filesBelow('', sourceFolders, /(?<!\.test)\.ts$/).sort((a, b) => (a < b ? -1 : 1));
}

function filesBelow(base, folders, pattern) {
  const files = [];
  const walk = (folder) => {
    if (!existsSync(folder)) return;
    for (const entry of readdirSync(folder, { withFileTypes: true })) {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) walk(path);
      else if (pattern.test(entry.name)) files.push(path);
    }
  };
  for (const folder of folders) walk(join(root, base, folder));
  return files;
}

/** A digest over content, not times: a fresh clone and a switched branch both tell the truth. */
function digestOf(files) {
  const hash = createHash('sha256');
  for (const file of files) hash.update(file.slice(root.length)).update('\0').update(readFileSync(file)).update('\0');
  return hash.digest('hex');
}

/** Runs a program quietly; its last lines are shown only when it fails. */
export function run(command, args, failure, options = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'], ...options });
    const lines = [];
    const keep = (chunk) => {
      lines.push(chunk.toString());
      if (lines.length > 200) lines.splice(0, 100);
    };
    child.stdout?.on('data', keep);
    child.stderr?.on('data', keep);
    child.once('error', (error) => reject(new Error(`${failure}: ${error.message}`)));
    child.once('exit', (code, signal) => {
      if (code === 0) resolve();
      else
        reject(
          new Error(
            `${failure} (${signal ?? `code ${code}`})\n${lines.join('').trim().split('\n').slice(-15).join('\n')}`,
          ),
        );
    });
  });
}

/** Environment in which `node` is Node 24. */
export function environment() {
  return { ...process.env, PATH: `${binFolder}:${process.env.PATH ?? ''}` };
}

/** Prints one line per step, with how long it took. */
export async function consoleProgress(step, text, work) {
  const begun = performance.now();
  process.stdout.write(`  ${step.padEnd(12)} ${text} ... `);
  try {
    await work();
  } catch (error) {
    process.stdout.write('failed\n');
    throw error;
  }
  process.stdout.write(`done (${((performance.now() - begun) / 1000).toFixed(1)} s)\n`);
}
