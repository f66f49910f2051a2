// What remains when everything that is not serving is left out: a bare Fastify route that parses JSON, a worker thread that runs
// ONNX Runtime on whatever waits, and no key, limit, route, record or second process. Sent to its parent: the port.
import { fileURLToPath } from 'node:url';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import fastify from 'fastify';
import ort from 'onnxruntime-node';

const mostRows = 32;

if (isMainThread) await serve(process.argv[2], Number(process.argv[3]));
else await work(workerData);

async function serve(model, width) {
  const worker = new Worker(fileURLToPath(import.meta.url), { workerData: { model, width } });
  const waiting = [];
  let running;
  const send = () => {
    if (running !== undefined || waiting.length === 0) return;
    running = waiting.splice(0, mostRows);
    const rows = new Float32Array(running.length * width);
    running.forEach(({ values }, index) => rows.set(values, index * width));
    worker.postMessage(rows, [rows.buffer]);
  };
  worker.on('message', ({ values, perRow }) => {
    const answered = running;
    running = undefined;
    send();
    answered.forEach(({ done }, index) => done(Array.from(values.subarray(index * perRow, (index + 1) * perRow))));
  });
  const server = fastify();
  server.post('/v2/models/:model/infer', (req) => {
    const { data } = req.body.inputs[0];
    return new Promise((resolve) => {
      waiting.push({
        values: data,
        done: (values) =>
          resolve({
            model_name: 'm',
            outputs: [{ name: 'y', datatype: 'FP32', shape: [1, values.length], data: values }],
          }),
      });
      if (waiting.length === 1) setImmediate(send);
    });
  });
  await new Promise((resolve) => worker.once('online', resolve));
  await server.listen({ port: 0, host: '127.0.0.1' });
  process.send({ port: server.server.address().port });
  process.once('disconnect', () => process.exit());
}

async function work({ model, width }) {
  const session = await ort.InferenceSession.create(model, { intraOpNumThreads: 1, interOpNumThreads: 1 });
  const [input] = session.inputNames;
  const [output] = session.outputNames;
  const run = async (rows) => {
    const count = rows.length / width;
    const results = await session.run({ [input]: new ort.Tensor('float32', rows, [count, width]) });
    const values = results[output].data;
    parentPort.postMessage({ values, perRow: values.length / count });
  };
  parentPort.on('message', (rows) => void run(rows));
}
