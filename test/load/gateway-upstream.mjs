// An OpenAI-compatible server that costs next to nothing: whole answers at once, streams in the pace that the request names.
// Each token carries its number and the time at which it was sent, in milliseconds of the clock that all processes share.
import { createServer } from 'node:http';

const nowMs = () => Number(process.hrtime.bigint() / 1_000n) / 1_000;
const answer = JSON.stringify({
  id: 'chatcmpl-bench',
  object: 'chat.completion',
  created: 1_700_000_000,
  model: 'bench',
  choices: [{ index: 0, message: { role: 'assistant', content: 'Hello! How can I help?' }, finish_reason: 'stop' }],
  usage: { prompt_tokens: 12, completion_tokens: 7, total_tokens: 19 },
});
const answerHead = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(answer) };
const chunk = (delta, finish) =>
  `data: ${JSON.stringify({
    id: 'chatcmpl-bench',
    object: 'chat.completion.chunk',
    created: 1_700_000_000,
    model: 'bench',
    choices: [{ index: 0, delta, finish_reason: finish }],
  })}\n\n`;

/** `metadata` of the request: how many tokens, and how many milliseconds between two of them. */
function stream(res, { metadata = {} }) {
  const tokens = Number(metadata.tokens ?? 10);
  const everyMs = Number(metadata.every_ms ?? 0);
  res.writeHead(200, { 'content-type': 'text/event-stream' });
  let at = 0;
  const next = () => {
    if (res.destroyed) return;
    res.write(chunk({ content: `${at}@${nowMs()} ` }, null));
    at += 1;
    if (at < tokens) setTimeout(next, everyMs);
    else res.end(`${chunk({}, 'stop')}data: [DONE]\n\n`);
  };
  next();
}

const server = createServer((req, res) => {
  if (req.method === 'GET') {
    res.writeHead(200, { 'content-type': 'application/json' });
    res.end('{"object":"list","data":[{"id":"bench","object":"model"}]}');
    return;
  }
  const chunks = [];
  req.on('data', (bytes) => chunks.push(bytes));
  req.on('end', () => {
    const body = JSON.parse(Buffer.concat(chunks).toString());
    if (body.stream === true) stream(res, body);
    else res.writeHead(200, answerHead).end(answer);
  });
});
server.listen(Number(process.argv[2] ?? 0), '127.0.0.1', () => process.send?.({ port: server.address().port }));
process.on('disconnect', () => process.exit(0));
