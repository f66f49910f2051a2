export { isOwnMachine, loadConfig, required, type SluiceConfig } from './config.js';
export { derivedSecret, derivedSigningKey } from './derived-key.js';
export { grantedProcessors } from './processor-quota.js';
export { EmbeddedPostgres, type EmbeddedPostgresSettings } from './embedded-postgres.js';
export { freePort, isPortFree } from './free-port.js';
export { GuardedChild, type GuardedChildSettings } from './guarded-child.js';
export { stopOnSignals, superviseParent, tellParent, type StopReason } from './lifecycle.js';
export { NodeChild, type NodeChildSettings } from './node-child.js';
export { createLogger, type Logger } from './logger.js';
export {
  guardedAgent,
  GuardedFetch,
  sluiceCauseOf,
  type GuardedAnswer,
  type GuardedAsk,
} from './outbound/guarded-fetch.js';
export { HostList } from './outbound/host-list.js';
export { isListed, kindOfAddress, listOf, type AddressKind } from './outbound/address-kind.js';
export { artifactGuard, remoteGuard, webhookGuard } from './outbound/outbound-guards.js';
export { OutboundGuard, type OutboundGuardSettings } from './outbound/outbound-guard.js';
export { timeOrderedId } from './time-ordered-id.js';
export { openPrivateFolder } from './private-folder.js';
export { serviceLog } from './service-log.js';
export { replaceFile, StartRefused, StateFolder, type StateRecord } from './state-folder.js';
export { type Histogram, type Histograms, type HistogramSeries } from './histograms.js';
export { contextOfTraceparent, isSampled, startTelemetry, traceparentOf, type Telemetry } from './telemetry.js';
export { findTemporal, installPythonTool, TemporalServer, type TemporalServerSettings } from './temporal-server.js';
export { fetchSmolLm2, smolLm2 } from './smollm2.js';
export { ownCertificateFiles, type KeyPair } from './tls/own-certificate.js';
export { certificateLoader, TlsCertificate } from './tls/tls-certificate.js';
