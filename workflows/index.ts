export { rollout } from './rollout/workflow.js';
