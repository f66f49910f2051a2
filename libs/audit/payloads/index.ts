export { OpenWindows } from './open-windows.js';
export { PayloadArchive, type PayloadEntry, type PayloadReading } from './payload-archive.js';
export { PayloadRecorder, type CapturedPayload } from './payload-recorder.js';
export type { PayloadRedactor, Redactions } from './payload-redactor.js';
export { DataKeyStore, PayloadStore } from './payload-store.js';
export { longestWindowSeconds, PayloadWindows, type PayloadWindow } from './payload-windows.js';
