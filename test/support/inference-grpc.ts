import { createRequire } from 'node:module';
import { loadPackageDefinition } from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';

const definition = loadSync(createRequire(import.meta.url).resolve('#proto/open-inference'));

/** A client of `inference.GRPCInferenceService`, made from the protocol's own file as any caller makes one. */
export const InferenceClient = (loadPackageDefinition(definition) as any).inference.GRPCInferenceService;
