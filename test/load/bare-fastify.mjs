// The yardstick: a Fastify route that parses the same JSON and answers the same JSON, and does nothing else.
import Fastify from 'fastify';

const server = Fastify({ logger: false });
const outputs = [{ name: 'y', datatype: 'FP32', shape: [1, 3], data: [0.1, 0.2, 0.7] }];
server.post('/v2/models/dense/infer', async (request) => ({
  model_name: 'dense',
  model_version: '1',
  id: request.body.id,
  outputs,
}));
await server.listen({ host: '127.0.0.1', port: Number(process.argv[2] ?? 0) });
process.send?.({ port: server.server.address().port });
process.on('disconnect', () => process.exit(0));
