import { bundleWorkflowCode, type WorkflowBundleWithSourceMap } from '@temporalio/worker';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

/** Run inside the sandbox around each workflow, so that its spans join the trace of who started it. */
export const workflowInterceptorModules = [
  createRequire(import.meta.url).resolve('@temporalio/interceptors-opentelemetry/lib/workflow-interceptors'),
];

/** The built JavaScript of this file lies in dist/apps/worker; Temporal's bundler wants built JavaScript, too. */
const distFolder = new URL(import.meta.url.endsWith('.ts') ? '../../dist/' : '../../', import.meta.url);
const prebuiltBundle = fileURLToPath(new URL('workflow-bundle.js', distFolder));

/** Bundles dist/workflows/index.js and all that it imports. It throws when that is anything but pure code. */
export async function bundleWorkflows(): Promise<WorkflowBundleWithSourceMap> {
  return bundleWorkflowCode({
    workflowsPath: fileURLToPath(new URL('workflows/index.js', distFolder)),
    workflowInterceptorModules,
    logger: quiet,
  });
}

/** What a worker is given: the bundle made ahead of time, or one made now when there is none. */
export async function workflowBundle(): Promise<{ code: string } | { codePath: string }> {
  if (existsSync(prebuiltBundle)) return { codePath: prebuiltBundle };
  return { code: (await bundleWorkflows()).code };
}

const nothing = (): void => undefined;
// A bundle that cannot be made throws; the bundler's own lines tell nothing else.
const quiet = { log: nothing, trace: nothing, debug: nothing, info: nothing, warn: nothing, error: nothing };
