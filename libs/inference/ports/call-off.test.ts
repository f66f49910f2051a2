import { expect, it } from 'vitest';
import { CallOff } from './call-off.js';

it('calls each listener once, but none that was taken away, be it by another one meanwhile', () => {
  const callOff = new CallOff();
  const heard: string[] = [];
  const gone = (): void => void heard.push('gone');
  const late = (): void => void heard.push('late');
  callOff.addEventListener('abort', gone);
  callOff.removeEventListener('abort', gone);
  callOff.addEventListener('abort', () => {
    heard.push('first');
    callOff.removeEventListener('abort', late);
  });
  callOff.addEventListener('abort', late);
  callOff.addEventListener('abort', () => heard.push('last'));
  expect(callOff.aborted).toBe(false);
  callOff.abort('hung up');
  callOff.abort('again');
  callOff.addEventListener('abort', late);
  expect([callOff.aborted, callOff.reason, heard]).toEqual([true, 'hung up', ['first', 'last']]);
});
