import { invalid } from './openai-error.js';

export interface NumberBounds {
  readonly min: number;
  readonly max: number;
  readonly isWhole?: boolean;
}

/** Reads the members of a JSON object one by one. `null` is the same as absent, as in the OpenAI API. */
export class Fields {
  private constructor(
    private readonly members: Readonly<Record<string, unknown>>,
    private readonly path: string,
  ) {}

  /** @throws OpenAiError 400 */
  static of(value: unknown, path = ''): Fields {
    if (typeof value !== 'object' || value === null || Array.isArray(value))
      throw invalid(path === '' ? 'body' : path, 'must be a JSON object', 'invalid_type');
    return new Fields(value as Record<string, unknown>, path);
  }

  at(name: string): string {
    return this.path === '' ? name : `${this.path}.${name}`;
  }

  value(name: string): unknown {
    const value = Object.hasOwn(this.members, name) ? this.members[name] : undefined;
    return value === null ? undefined : value;
  }

  number(name: string, { min, max, isWhole = false }: NumberBounds): number | undefined {
    const value = this.value(name);
    if (value === undefined) return undefined;
    const kind = isWhole ? 'a whole number' : 'a number';
    if (typeof value !== 'number' || !Number.isFinite(value) || (isWhole && !Number.isSafeInteger(value)))
      throw invalid(this.at(name), `must be ${kind} from ${min} to ${max}`, 'invalid_type');
    if (value < min || value > max) throw invalid(this.at(name), `must be ${kind} from ${min} to ${max}, not ${value}`);
    return value;
  }

  boolean(name: string): boolean | undefined {
    const value = this.value(name);
    if (value === undefined || typeof value === 'boolean') return value;
    throw invalid(this.at(name), 'must be true or false', 'invalid_type');
  }

  string(name: string): string | undefined {
    const value = this.value(name);
    if (value === undefined || typeof value === 'string') return value;
    throw invalid(this.at(name), 'must be a string', 'invalid_type');
  }

  oneOf<Choice extends string>(name: string, choices: readonly Choice[]): Choice | undefined {
    const value = this.string(name);
    if (value === undefined) return undefined;
    if (!(choices as readonly string[]).includes(value))
      throw invalid(this.at(name), `must be one of ${choices.join(', ')}`);
    return value as Choice;
  }

  required<Value>(name: string, value: Value | undefined): Value {
    if (value === undefined) throw invalid(this.at(name), 'is missing', 'missing_required_parameter');
    return value;
  }

  array(name: string, bounds: { min: number; max: number }): unknown[] | undefined {
    const value = this.value(name);
    if (value === undefined) return undefined;
    if (!Array.isArray(value)) throw invalid(this.at(name), 'must be an array', 'invalid_type');
    const { min, max } = bounds;
    if (value.length < min || value.length > max)
      throw invalid(this.at(name), `must have from ${min} to ${max} entries, not ${value.length}`);
    return value;
  }

  object(name: string): Fields | undefined {
    const value = this.value(name);
    return value === undefined ? undefined : Fields.of(value, this.at(name));
  }
}
