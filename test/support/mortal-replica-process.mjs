// A model server that a real input really kills: it adds one to each value of `x`, and dies of 666 as a broken runtime
// does, without a word to its callers. Listens on the Unix socket that its first argument names.
import { createServer } from 'node:http';

const deadly = 666;

const server = createServer((req, res) => {
  const chunks = [];
  req.on('data', (chunk) => chunks.push(chunk));
  req.on('end', () => {
    if (req.method === 'GET') return res.end('{}');
    const body = Buffer.concat(chunks);
    const headerLength = Number(req.headers['inference-header-content-length']);
    const { inputs } = JSON.parse(body.subarray(0, headerLength).toString());
    const bytes = body.subarray(headerLength);
    const values = Array.from({ length: bytes.length / 4 }, (_none, index) => bytes.readFloatLE(index * 4));
    if (values.includes(deadly)) process.abort();
    const outputs = [{ name: 'y', datatype: 'FP32', shape: inputs[0].shape, data: values.map((value) => value + 1) }];
    res.setHeader('content-type', 'application/json');
    return res.end(JSON.stringify({ model_name: 'mortal', model_version: '1', outputs }));
  });
});
server.listen(process.argv[2], () => process.send({ kind: 'ready' }));
process.on('disconnect', () => process.exit(0));
