import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { sampleFiles, sampleManifest, sha256 } from '../../../test/support/artifact-sample.js';
import { canonicalJson, contentDigest, parseManifest, verifyFiles } from './artifact-manifest.js';
import type { Manifest } from '../models/manifest.js';

const parse = (value: unknown): Manifest => parseManifest(Buffer.from(JSON.stringify(value)));
const manifest = (): Manifest => parse(sampleManifest(sampleFiles));
const read = () =>
  new Map(
    Object.entries(sampleFiles).map(([path, content]) => [path, { sha256: sha256(content), bytes: content.length }]),
  );

describe('a manifest', () => {
  it('that is no JSON, or no UTF-8, is refused', () => {
    expect(() => parseManifest(Buffer.from('{"name": '))).toThrow('sluice.json is not valid JSON');
    expect(() => parseManifest(Buffer.from([0x22, 0xff, 0x22]))).toThrow('sluice.json is not valid JSON');
  });

  it('has every problem named with its place', () => {
    const bad = {
      ...sampleManifest(sampleFiles),
      version: '../1',
      format: 'pickle',
      inputs: [{ name: 'x', datatype: 'FP33', shape: [] }],
      more: 1,
    };
    expect(() => parse(bad)).toThrow(
      /version: must be letters.*format: .*inputs\.0\.datatype: .*inputs\.0\.shape: .*manifest: Unrecognized key: "more"/s,
    );
  });

  it.each(['../escape', '/etc/passwd', 'a\\b', 'a//b', 'a\0b', './model.onnx'])('that lists %j is refused', (path) => {
    expect(() => parse(sampleManifest({ ...sampleFiles, [path]: '' }))).toThrow('the path');
  });

  it('cannot list itself, nor one file twice, nor two that differ in case only', () => {
    expect(() => parse(sampleManifest({ ...sampleFiles, 'sluice.json': '' }))).toThrow('cannot list itself');
    expect(() => parse(sampleManifest({ ...sampleFiles, 'Sluice.json': '' }))).toThrow('in case only');
    const files = (sampleManifest(sampleFiles)['files'] as unknown[]).flatMap((file) => [file, file]);
    expect(() => parse({ ...sampleManifest(sampleFiles), files })).toThrow('twice');
  });

  it('of format onnx states exactly one graph', () => {
    expect(() => parse(sampleManifest({ 'words.txt': '' }))).toThrow('exactly one .onnx file, not 0');
    expect(() => parse(sampleManifest({ 'a.onnx': '', 'b.onnx': '' }))).toThrow('exactly one .onnx file, not 2');
  });

  it.each([
    ['torchscript', 'model.pt'],
    ['torch-export', 'model.pt2'],
    ['tensorflow-savedmodel', 'export/saved_model.pb'],
    ['keras', 'model.keras'],
  ])('of format %s states exactly one %s', (format, file) => {
    const tensors = [{ name: 'x', datatype: 'FP32', shape: [-1] }];
    const stated = (files: Record<string, string>) =>
      parse({ ...sampleManifest(files), format, inputs: tensors, outputs: tensors, warmup: undefined });
    expect(stated({ [file]: '' })).toMatchObject({ format });
    expect(() => stated({ 'model.onnx': '' })).toThrow(`format ${format} needs exactly one`);
    expect(() => stated({ [file]: '', [`b/${file}`]: '' })).toThrow('not 2');
  });

  it('cannot ask for what its format has not: texts in PyTorch, code in a graph', () => {
    const tensors = [{ name: 's', datatype: 'BYTES', shape: [-1] }];
    const torch = { ...sampleManifest({ 'model.pt': '' }), format: 'torchscript', inputs: tensors, warmup: undefined };
    expect(() => parse(torch)).toThrow("inputs: s is BYTES, and PyTorch's tensors hold no texts");
    expect(() => parse({ ...sampleManifest(sampleFiles), allowCode: true })).toThrow(
      'allowCode: a model of format onnx',
    );
  });
});

describe('files held against the manifest', () => {
  it('pass when they are what is stated', () => {
    verifyFiles(manifest(), read());
  });

  it.each([
    [
      'missing',
      (files: ReturnType<typeof read>) => files.delete('data/words.txt'),
      'the file data/words.txt is missing',
    ],
    [
      'unlisted',
      (files: ReturnType<typeof read>) => files.set('more', { sha256: '', bytes: 0 }),
      'the file more is not listed',
    ],
    [
      'of wrong size',
      (files: ReturnType<typeof read>) => files.set('model.onnx', { sha256: sha256('no real graph'), bytes: 1 }),
      'model.onnx has 1 bytes',
    ],
    [
      'of wrong content',
      (files: ReturnType<typeof read>) => files.set('model.onnx', { sha256: sha256('x'), bytes: 13 }),
      'model.onnx has sha256',
    ],
  ])('are refused by name when one is %s', (_what, spoil, problem) => {
    const files = read();
    spoil(files);
    expect(() => verifyFiles(manifest(), files)).toThrow(problem);
  });
});

describe('the content digest', () => {
  it('does not depend on the order of keys', () => {
    const shuffled = Object.fromEntries(Object.entries(sampleManifest(sampleFiles)).reverse());
    expect(contentDigest(parse(shuffled))).toBe(contentDigest(manifest()));
  });

  it('depends on everything else', () => {
    expect(contentDigest(parse(sampleManifest(sampleFiles, { description: 'x' })))).not.toBe(contentDigest(manifest()));
  });

  it('rests on a canonical form that reads back as the same value', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        expect(JSON.parse(canonicalJson(value))).toEqual(JSON.parse(JSON.stringify(value)));
      }),
    );
  });
});

describe('the manifest of a language model', () => {
  const language = (...paths: string[]) => ({
    ...sampleManifest(Object.fromEntries(paths.map((path) => [path, path]))),
    format: 'gguf',
    inputs: undefined,
    outputs: undefined,
  });

  it('has the tensors that all of them have, and reads back as it was stored', () => {
    const parsed = parse(language('model.gguf'));
    expect(parsed.inputs).toEqual([{ name: 'text_input', datatype: 'BYTES', shape: [-1] }]);
    expect(parse(parsed)).toEqual(parsed);
    expect(() => parse({ ...language('model.gguf'), inputs: [{ name: 'x', datatype: 'FP32', shape: [1] }] })).toThrow(
      'leave both out',
    );
  });

  it('states one file with weights, or all shards of one model', () => {
    const shards = ['a-00001-of-00002.gguf', 'a-00002-of-00002.gguf'];
    expect(parse(language(...shards)).files).toHaveLength(2);
    expect(() => parse(language())).toThrow();
    expect(() => parse(language('words.txt'))).toThrow('exactly one .gguf file, not 0');
    expect(() => parse(language('a.gguf', 'b.gguf'))).toThrow('exactly one .gguf file, not 2');
    expect(() => parse(language(shards[0]!))).toThrow('the shard a-00002-of-00002.gguf is missing');
    expect(() => parse(language(...shards, 'b.gguf'))).toThrow('b.gguf is no shard');
  });
});
