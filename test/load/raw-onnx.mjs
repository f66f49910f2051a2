// The ceiling: onnxruntime-node in a loop, without any server. Prints rows per second for batches of 1 and of 32.
import { fileURLToPath } from 'node:url';
import ort from 'onnxruntime-node';

const model = fileURLToPath(new URL('../models/dense/model.onnx', import.meta.url));
const seconds = Number(process.argv[2] ?? 2);
const session = await ort.InferenceSession.create(model, { intraOpNumThreads: 1, interOpNumThreads: 1 });

async function rowsPerSecond(batch) {
  const data = Float32Array.from({ length: batch * 16 }, (_, index) => Math.sin(index));
  const feeds = () => ({ x: new ort.Tensor('float32', data, [batch, 16]) });
  for (let warm = 0; warm < 200; warm += 1) await session.run(feeds());
  const begun = performance.now();
  let runs = 0;
  while (performance.now() - begun < seconds * 1000) {
    for (let each = 0; each < 50; each += 1) await session.run(feeds());
    runs += 50;
  }
  return (runs * batch) / ((performance.now() - begun) / 1000);
}

process.stdout.write(JSON.stringify({ batch1: await rowsPerSecond(1), batch32: await rowsPerSecond(32) }));
