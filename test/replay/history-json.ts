import { createRequire } from 'node:module';

/** A history as protobuf messages, as the SDK takes and gives it. */
export interface History {
  events: unknown[];
}

interface ProtoJson {
  toJson(type: unknown, message: unknown): { events: unknown[] };
  fromJson(type: unknown, json: unknown, options: { ignoreUnknownFields: boolean }): History;
}

interface Proto {
  temporal: { api: { history: { v1: { History: { fromObject(plain: unknown): unknown } } } } };
}

// The SDK's own conversion fails when npm installs two copies of protobufjs 8, one below each of its packages: a type of the
// one is not a type of the other. So the converter is taken from where the messages come from.
const requireHere = createRequire(import.meta.url);
const requireFromCommon = createRequire(requireHere.resolve('@temporalio/common'));
const requireFromProto = createRequire(requireFromCommon.resolve('@temporalio/proto'));
const proto = requireFromCommon('@temporalio/proto') as Proto;
const { patchProtobufRoot } = requireFromCommon('@temporalio/proto/lib/patch-protobuf-root') as {
  patchProtobufRoot: (root: unknown) => { lookupType(name: string): unknown };
};
const { toJson, fromJson } = requireFromProto('protobufjs/ext/protojson') as ProtoJson;
const historyType = patchProtobufRoot(proto).lookupType('temporal.api.history.v1.History');

/** The JSON that Temporal's own tools write and read. */
export function historyToJson(history: unknown): { events: unknown[] } {
  return toJson(historyType, proto.temporal.api.history.v1.History.fromObject(history));
}

export function historyOfJson(json: unknown): History {
  return fromJson(historyType, json, { ignoreUnknownFields: true });
}
