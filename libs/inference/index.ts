export type { RollbackWish } from './endpoints-rollback.js';
export { Endpoints, type EndpointView, type NewEndpoint, type RouteWrite } from './endpoints.js';
export { manifestPartSchema, manifestSchema, type Manifest, type ModelFormat, type ModelTask } from './manifest.js';
export {
  ReplicaSets,
  type DesiredReplicas,
  type ReplicaSetView,
  type ReplicaWait,
  type VersionRef,
  replicaCountOf,
} from './replica-sets.js';
export { endpointPolicySchema, type EndpointPolicy } from './endpoint-policy.js';
export type { PolicyView } from './endpoints-policies.js';
export { soleVersion } from './endpoints-arms.js';

export { datatypeNames, type DatatypeName } from './datatype.js';
export { dataArrays, type NumericData, type Tensor, type TensorData, type TensorSpec } from './tensor.js';
export {
  parseInferRequest,
  type InferRequest,
  type InferRequestOptions,
  type ModelSignature,
} from './oip-infer-request.js';
export type { InferParameters } from './oip-parameters.js';
export { parseRawRequest } from './oip-raw-request.js';
export { selectOutputs, type RequestedOutput } from './oip-requested-outputs.js';
export { renderInferResponse, type InferResponse } from './oip-infer-response.js';
export { encodeInferResponse, type BinaryMessage } from './oip-binary.js';
export { binaryValuesOf } from './oip-binary-values.js';
export {
  ReplicaFailure,
  type Replica,
  type ReplicaCall,
  type ReplicaFailureKind,
  type ReplicaMetadata,
} from './ports/replica.js';
export type { LanguageAnswer, LanguagePath, LanguageReplica } from './ports/language-replica.js';
export { OipReplica, type OipReplicaSettings } from './adapters/oip/oip-replica.js';
export { OpenAiReplica, type OpenAiReplicaSettings } from './adapters/openai/openai-replica.js';
export { remoteSpawner } from './replica-remote-process.js';
export { RemoteConnections } from './remote-connections.js';
export { headerName, headerValue } from './manifest-settings.js';
export { SecretHeaders, type SecretHeaderView } from './secret-headers.js';
export { SecretHeaderRing } from './secret-header-ring.js';
export { replicaOpener } from './replica-opener.js';
export { spawnByFormat, type ReplicaSpawners } from './replica-spawners.js';
export type { FolderAccess } from './artifact-folder.js';
export { layoutNames, type LayoutName } from './artifact-layout.js';
export type { LayoutWish } from './artifact-layout-files.js';
export { ArtifactSources, type ArtifactFetcher, type SourceAccess } from './artifact-sources.js';
export { ArtifactStore, type ArtifactStoreSettings } from './artifact-store.js';
export { ModelLineage, type DatasetLineage, type VersionLineage } from './model-lineage.js';
export { ModelSignatures, type NewSignature, type SignatureView } from './model-signatures.js';
export { SigningKeys, type SigningKeyView } from './signing-keys.js';
export type { BundleVerifier } from './ports/bundle-verifier.js';
export { ModelRegistry, type ModelVersionView, type Registration } from './model-registry.js';
export { ReplicaSupervisor, type ReplicaSupervisorSettings } from './replica-supervisor.js';
export { PythonEnvironments } from './python-environment.js';
export { pythonServerSpawner } from './python-spawner.js';
export {
  modelServerSpawner,
  type ReplicaLaunch,
  type ReplicaProcess,
  type SpawnReplica,
} from './replica-supervisor-process.js';
export { CallerPresence } from './batcher-caller.js';
export { registerInferenceMetrics, type InferenceMetricsSources } from './inference-metrics.js';
export {
  InferenceService,
  type AskedInference,
  type InferAsk,
  type InferenceSettings,
  type InferOutcome,
  type InferProtocol,
} from './inference-service.js';
export type { LanguageAsk } from './language-ask.js';
export type { LanguageExchange } from './language-exchange.js';
export { LanguageMetrics } from './language-metrics.js';
export { LanguageService, type LanguageServiceSettings } from './language-service.js';
export type { QuarantinedInput } from './quarantine.js';
export { QuarantineLedger } from './quarantine-ledger.js';
export { OutcomeCounters, type OutcomeCountersSettings } from './outcome-counters.js';
export { RecordSpool, type RecordSpoolSettings } from './record-spool.js';
export type { OpenReplica } from './inference-service-lanes.js';
export type { ReplicaPlace } from './replica-pool.js';
export type { RequestRecord } from './request-record.js';
export { RequestRecorder, type RequestRecorderSettings } from './request-recorder.js';
export type { SchedulingRules } from './scheduling-rules.js';
export { pinnedArm, type LiveArm, type LiveEndpoint, type ServedVersion } from './route-table.js';
export type { LiveReplicas, ServingSnapshot } from './serving-state-tables.js';
export { EndpointLoading, type EndpointLoadingSettings, type LoadWish } from './endpoints-loading.js';
export { ServingStatistics, VersionStatistics, type DurationSum } from './version-statistics.js';
export { ServingState, type ServingStateSettings } from './serving-state.js';
