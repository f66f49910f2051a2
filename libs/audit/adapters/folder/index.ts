export { FolderPlace } from './folder-place.js';
