import { pythonEnvironment } from './python-environment.js';

/** The real client of the OpenAI protocol. @returns the path of its `python` */
export const openAiPython = (): Promise<string> => pythonEnvironment('openai', ['openai==3.57.0']);
