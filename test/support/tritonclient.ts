import { pythonEnvironment } from './python-environment.js';

/** The real client of Triton, with onnxruntime beside it to compare answers with. @returns the path of its `python` */
export const tritonclientPython = (): Promise<string> =>
  pythonEnvironment('tritonclient', ['tritonclient[http,grpc]==2.73.0', 'onnxruntime==1.30.0', 'numpy>=2,<3']);
