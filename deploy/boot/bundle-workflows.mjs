// Bundles the workflows ahead of time, so that a worker starts in a second and never carries the bundler's memory.
import { writeFileSync } from 'node:fs';
import { bundleWorkflows } from '../../dist/apps/worker/workflow-bundle.js';

const { code } = await bundleWorkflows();
writeFileSync(new URL('../../dist/workflow-bundle.js', import.meta.url), code);
