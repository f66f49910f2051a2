import type { DatatypeName } from '../tensors/datatype.js';
import { parseTextProto, type TextMessage, type TextValue } from './artifact-pbtxt.js';
import { refused, shownName } from './artifact-refusal.js';

export const configFileName = 'config.pbtxt';

/** One message of `config.pbtxt`, read field by field, so that what nobody has read can be named at the end. */
export class ConfigMessage {
  private readonly read = new Set<string>();

  constructor(
    private readonly message: TextMessage,
    private readonly path: string,
  ) {}

  static parse(source: string): ConfigMessage {
    return new ConfigMessage(parseTextProto(source, configFileName), '');
  }

  text(field: string): string | undefined {
    const value = this.only(field);
    if (value === undefined) return undefined;
    if (value.kind !== 'text') throw this.problem(field, 'must be text in quotes');
    return value.text;
  }

  word(field: string): string | undefined {
    const value = this.only(field);
    if (value === undefined) return undefined;
    if (value.kind !== 'word') throw this.problem(field, 'must be a name without quotes');
    return value.word;
  }

  isTrue(field: string): boolean | undefined {
    const word = this.word(field);
    if (word === undefined) return undefined;
    if (['true', 'True', 't', '1'].includes(word)) return true;
    if (['false', 'False', 'f', '0'].includes(word)) return false;
    throw this.problem(field, 'must be true or false');
  }

  whole(field: string): number | undefined {
    const value = this.only(field);
    return value === undefined ? undefined : this.wholeOf(field, value);
  }

  wholes(field: string): number[] {
    return this.all(field).map((value) => this.wholeOf(field, value));
  }

  inner(field: string): ConfigMessage | undefined {
    const value = this.only(field);
    return value === undefined ? undefined : this.messageOf(field, value);
  }

  inners(field: string): ConfigMessage[] {
    return this.all(field).map((value, index) => this.messageOf(`${field}[${index}]`, value));
  }

  has(field: string): boolean {
    return this.message.fields.has(field);
  }

  /** Fields that are there and that nobody has asked for, with their whole path. */
  unread(): string[] {
    return [...this.message.fields.keys()].filter((field) => !this.read.has(field)).map((field) => this.at(field));
  }

  problem(field: string, problem: string): Error {
    return refused(`${configFileName}: ${shownName(this.at(field))}: ${problem}`);
  }

  private at(field: string): string {
    return this.path === '' ? field : `${this.path}.${field}`;
  }

  private all(field: string): readonly TextValue[] {
    this.read.add(field);
    return this.message.fields.get(field) ?? [];
  }

  private only(field: string): TextValue | undefined {
    const values = this.all(field);
    if (values.length > 1) throw this.problem(field, 'stands there more than once');
    return values[0];
  }

  private messageOf(field: string, value: TextValue): ConfigMessage {
    if (value.kind !== 'message') throw this.problem(field, 'must be a message in { }');
    return new ConfigMessage(value, this.at(field));
  }

  private wholeOf(field: string, value: TextValue): number {
    const number = value.kind === 'word' && /^[-+]?\d{1,19}$/.test(value.word) ? Number(value.word) : Number.NaN;
    if (!Number.isSafeInteger(number)) throw this.problem(field, 'must be a whole number');
    return number;
  }
}

/** `DataType` of Triton's model_config.proto. */
export const tritonTypes: Readonly<Record<string, DatatypeName>> = {
  TYPE_BOOL: 'BOOL',
  TYPE_UINT8: 'UINT8',
  TYPE_UINT16: 'UINT16',
  TYPE_UINT32: 'UINT32',
  TYPE_UINT64: 'UINT64',
  TYPE_INT8: 'INT8',
  TYPE_INT16: 'INT16',
  TYPE_INT32: 'INT32',
  TYPE_INT64: 'INT64',
  TYPE_FP16: 'FP16',
  TYPE_BF16: 'BF16',
  TYPE_FP32: 'FP32',
  TYPE_FP64: 'FP64',
  TYPE_STRING: 'BYTES',
};
