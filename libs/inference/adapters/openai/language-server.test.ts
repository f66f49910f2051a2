import { LanguageServer } from '../../../../test/support/language-server.js';
import { languageReplicaContract, type StartedLanguageReplica } from '../../ports/language-replica.contract.js';
import { OipReplica } from '../oip/oip-replica.js';
import { OpenAiReplica } from './openai-replica.js';

const language = { contextTokens: 512, sequences: 2, defaultMaxTokens: 64 };

async function startLanguageReplica(): Promise<StartedLanguageReplica> {
  const server = await LanguageServer.start({ manifest: { language } });
  const place = {
    id: 'r',
    address: `unix:${server.socketPath}`,
    model: 'smollm2-135m-instruct',
    version: '1',
  };
  const replica = new OpenAiReplica({ ...place, tensors: new OipReplica(place) });
  return {
    replica,
    model: 'chat',
    ...language,
    drain: async () => ({ isClean: (await server.drain()) === 0 }),
    crash: () => server.crash(),
    [Symbol.asyncDispose]: async () => {
      await replica[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
    },
  };
}

languageReplicaContract('OpenAiReplica on a language server', startLanguageReplica);
