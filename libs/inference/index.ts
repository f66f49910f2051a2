export type { RollbackWish } from './routes/endpoints-rollback.js';
export { Endpoints, type EndpointView, type NewEndpoint, type RouteWrite } from './routes/endpoints.js';
export {
  manifestPartSchema,
  manifestSchema,
  type Manifest,
  type ModelFormat,
  type ModelTask,
} from './models/manifest.js';
export {
  ReplicaSets,
  type DesiredReplicas,
  type ReplicaSetView,
  type ReplicaWait,
  type VersionRef,
  replicaCountOf,
} from './replicas/replica-sets.js';
export { endpointPolicySchema, type EndpointPolicy } from './routes/endpoint-policy.js';
export type { PolicyView } from './routes/endpoints-policies.js';
export { soleVersion } from './routes/endpoints-arms.js';

export { datatypeNames, type DatatypeName } from './tensors/datatype.js';
export { dataArrays, type NumericData, type Tensor, type TensorData, type TensorSpec } from './tensors/tensor.js';
export {
  parseInferRequest,
  type InferRequest,
  type InferRequestOptions,
  type ModelSignature,
} from './oip/oip-infer-request.js';
export type { InferParameters } from './oip/oip-parameters.js';
export { parseRawRequest } from './oip/oip-raw-request.js';
export { selectOutputs, type RequestedOutput } from './oip/oip-requested-outputs.js';
export { renderInferResponse, type InferResponse } from './oip/oip-infer-response.js';
export { encodeInferResponse, type BinaryMessage } from './oip/oip-binary.js';
export { binaryValuesOf } from './oip/oip-binary-values.js';
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
export { remoteSpawner } from './replicas/replica-remote-process.js';
export { RemoteConnections } from './remote/remote-connections.js';
export { headerName, headerValue } from './models/manifest-settings.js';
export { SecretHeaders, type SecretHeaderView } from './remote/secret-headers.js';
export { SecretHeaderRing } from './remote/secret-header-ring.js';
export { replicaOpener } from './replicas/replica-opener.js';
export { spawnByFormat, type ReplicaSpawners } from './replicas/replica-spawners.js';
export type { FolderAccess } from './artifacts/artifact-folder.js';
export { layoutNames, type LayoutName } from './artifacts/artifact-layout.js';
export type { LayoutWish } from './artifacts/artifact-layout-files.js';
export { ArtifactSources, type ArtifactFetcher, type SourceAccess } from './artifacts/artifact-sources.js';
export { ArtifactStore, type ArtifactStoreSettings } from './artifacts/artifact-store.js';
export { ModelLineage, type DatasetLineage, type VersionLineage } from './models/model-lineage.js';
export { ModelSignatures, type NewSignature, type SignatureView } from './models/model-signatures.js';
export { SigningKeys, type SigningKeyView } from './models/signing-keys.js';
export type { BundleVerifier } from './ports/bundle-verifier.js';
export { ModelRegistry, type ModelVersionView, type Registration } from './models/model-registry.js';
export { ReplicaSupervisor, type ReplicaSupervisorSettings } from './replicas/replica-supervisor.js';
export { PythonEnvironments } from './replicas/python-environment.js';
export { pythonServerSpawner } from './replicas/python-spawner.js';
export {
  modelServerSpawner,
  type ReplicaLaunch,
  type ReplicaProcess,
  type SpawnReplica,
} from './replicas/replica-supervisor-process.js';
export { CallerPresence } from './batching/batcher-caller.js';
export { registerInferenceMetrics, type InferenceMetricsSources } from './service/inference-metrics.js';
export {
  InferenceService,
  type AskedInference,
  type InferAsk,
  type InferenceSettings,
  type InferOutcome,
  type InferProtocol,
} from './service/inference-service.js';
export type { LanguageAsk, LanguageEnd } from './language/language-ask.js';
export type { LanguageExchange } from './language/language-exchange.js';
export { LanguageMetrics } from './language/language-metrics.js';
export { LanguageService, type LanguageServiceSettings } from './language/language-service.js';
export type { QuarantinedInput } from './batching/quarantine.js';
export { QuarantineLedger } from './batching/quarantine-ledger.js';
export { OutcomeCounters, type OutcomeCountersSettings } from './records/outcome-counters.js';
export { RecordSpool, type RecordSpoolSettings } from './records/record-spool.js';
export type { OpenReplica } from './service/inference-service-lanes.js';
export type { ReplicaPlace } from './replicas/replica-pool.js';
export {
  RequestArchive,
  type RequestFilter,
  type RequestPage,
  type RequestScope,
  type RequestView,
} from './records/request-archive.js';
export { RequestRecordStore, ResponseCacheStore } from './records/request-record-store.js';
export type { RequestRecord } from './records/request-record.js';
export { RequestRecorder, type RequestRecorderSettings } from './records/request-recorder.js';
export type { SchedulingRules } from './batching/scheduling-rules.js';
export { pinnedArm, type LiveArm, type LiveEndpoint, type ServedVersion } from './routes/route-table.js';
export type { LiveReplicas, ServingSnapshot } from './routes/serving-state-tables.js';
export { EndpointLoading, type EndpointLoadingSettings, type LoadWish } from './routes/endpoints-loading.js';
export { ServingStatistics, VersionStatistics, type DurationSum } from './service/version-statistics.js';
export { ServingState, type ServingStateSettings } from './routes/serving-state.js';
export type { PayloadTap, RequestHolder, TappedPayload } from './ports/payload-tap.js';
