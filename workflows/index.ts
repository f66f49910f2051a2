export { rollout } from './rollout/workflow.js';
export { erasure } from './erasure/workflow.js';
