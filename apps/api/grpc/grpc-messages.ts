/** The messages of `open-inference.proto` as they arrive: 64-bit integers as text, bytes as Buffer, all fields present. */
export interface GrpcParameter {
  parameter_choice?: 'bool_param' | 'int64_param' | 'string_param' | 'double_param' | 'uint64_param';
  bool_param?: boolean;
  int64_param?: string;
  string_param?: string;
  double_param?: number;
  uint64_param?: string;
}

export type GrpcParameters = Readonly<Record<string, GrpcParameter>>;

export interface GrpcContents {
  bool_contents?: readonly boolean[];
  int_contents?: readonly number[];
  int64_contents?: readonly string[];
  uint_contents?: readonly number[];
  uint64_contents?: readonly string[];
  fp32_contents?: readonly number[];
  fp64_contents?: readonly number[];
  bytes_contents?: readonly Buffer[];
}

export interface GrpcTensor {
  name: string;
  datatype: string;
  shape: readonly (string | number)[];
  parameters?: GrpcParameters;
  contents?: GrpcContents | null;
}

export interface GrpcInferRequest {
  model_name: string;
  model_version: string;
  id: string;
  parameters: GrpcParameters;
  inputs: readonly GrpcTensor[];
  outputs: readonly { name: string; parameters: GrpcParameters }[];
  raw_input_contents: readonly Buffer[];
}

export interface GrpcInferResponse {
  model_name: string;
  model_version: string;
  id?: string | undefined;
  parameters?: GrpcParameters;
  outputs: GrpcTensor[];
  raw_output_contents?: Buffer[];
}
