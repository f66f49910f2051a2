/** A JSON schema, as far as it is known to be one. */
export type JsonSchema = boolean | { readonly [keyword: string]: unknown };

/** A schema that cannot be turned into a grammar. `path` leads to the place, in the form of a JSON pointer. */
export class SchemaRefusal extends Error {
  override readonly name = 'SchemaRefusal';
  constructor(
    readonly path: string,
    readonly problem: string,
  ) {
    super(`${path === '' ? 'the schema' : path} ${problem}`);
  }
}

/** Keywords that say nothing about what is valid. */
const silentKeywords = new Set(
  '$schema $id $anchor $comment $defs definitions title description default examples deprecated readOnly writeOnly strict'.split(
    ' ',
  ),
);
const usedKeywords = new Set(
  '$ref type enum const anyOf oneOf allOf properties required additionalProperties items prefixItems minItems maxItems minLength maxLength format'.split(
    ' ',
  ),
);

const formats = {
  date: '[0-9]{4} "-" ("0" [1-9] | "1" [0-2]) "-" ("0" [1-9] | [12] [0-9] | "3" [01])',
  time: '([01] [0-9] | "2" [0-3]) ":" [0-5] [0-9] ":" [0-5] [0-9] ("." [0-9]{1,6})? ("Z" | [+-] ([01] [0-9] | "2" [0-3]) ":" [0-5] [0-9])',
  uuid: '[0-9a-f]{8} "-" [0-9a-f]{4} "-" [0-9a-f]{4} "-" [0-9a-f]{4} "-" [0-9a-f]{12}',
} as const;

/** Named once, used by all. `ws` allows little, because small models like to write spaces without end. */
const commonRules: Readonly<Record<string, string>> = {
  ws: '| " " | "\\n" [ \\t]{0,20}',
  char: '[^"\\\\\\x7F\\x00-\\x1F] | "\\\\" (["\\\\/bfnrt] | "u" [0-9a-fA-F]{4})',
  string: '"\\"" char* "\\""',
  integer: '"-"? ("0" | [1-9] [0-9]{0,15})',
  number: 'integer ("." [0-9]{1,16})? ([eE] [+-]? [1-9] [0-9]{0,2})?',
  boolean: '"true" | "false"',
  null: '"null"',
  value: 'object | array | string | number | boolean | null',
  pair: 'string ws ":" ws value',
  object: '"{" ws (pair ws ("," ws pair ws)*)? "}"',
  array: '"[" ws (value ws ("," ws value ws)*)? "]"',
};

/** llama.cpp unfolds repetitions; beyond this it refuses. */
const longestRepetition = 2_000;
const mostRepetitions = 20_000;
const mostNodes = 1_000;
const deepest = 64;

/**
 * Writes GBNF, llama.cpp's grammar language, for JSON schemas (draft 2020-12). What it generates is valid by the schema; it
 * need not generate all that is valid: properties come in the order of the schema, and others only where
 * `additionalProperties` says so or no property is named.
 * Source of the language: grammars/README.md of llama.cpp.
 */
export class JsonGrammar {
  private readonly rules = new Map<string, string>(Object.entries(commonRules));
  private readonly refs = new Map<string, string>();
  private root: JsonSchema = true;
  private isStrict = false;
  private nodes = 0;
  private repetitions = 0;

  /**
   * @param isStrict refuses keywords that a grammar cannot hold; otherwise they are passed over
   * @returns the name of the rule that holds the schema. @throws SchemaRefusal
   */
  add(schema: JsonSchema, isStrict = false): string {
    this.root = schema;
    this.isStrict = isStrict;
    this.refs.clear();
    return this.define(this.expressionOf(schema, '', 0));
  }

  define(expression: string): string {
    const name = `r${this.rules.size}`;
    this.rules.set(name, expression);
    return name;
  }

  /** @param root the expression that all of the text has to be */
  text(root: string): string {
    return [`root ::= ${root}`, ...Array.from(this.rules, ([name, expression]) => `${name} ::= ${expression}`)].join(
      '\n',
    );
  }

  private expressionOf(schema: unknown, path: string, depth: number): string {
    this.nodes += 1;
    if (this.nodes > mostNodes) throw new SchemaRefusal(path, `is too large: at most ${mostNodes} schemas in all`);
    if (depth > deepest) throw new SchemaRefusal(path, `is nested too deeply: at most ${deepest} levels`);
    if (schema === true) return 'value';
    if (schema === false) throw new SchemaRefusal(path, 'allows nothing');
    if (typeof schema !== 'object' || schema === null || Array.isArray(schema))
      throw new SchemaRefusal(path, 'must be a JSON schema: an object or a boolean');
    const node = schema as Record<string, unknown>;
    this.refuseUnheld(node, path);
    return this.nodeExpression(node, path, depth);
  }

  private refuseUnheld(node: Record<string, unknown>, path: string): void {
    if (!this.isStrict) return;
    const unheld = Object.keys(node).find((keyword) => !usedKeywords.has(keyword) && !silentKeywords.has(keyword));
    if (unheld !== undefined)
      throw new SchemaRefusal(`${path}/${unheld}`, 'is not held by the grammar: leave it out, or set strict to false');
  }

  private nodeExpression(node: Record<string, unknown>, path: string, depth: number): string {
    if (node['$ref'] !== undefined) return this.reference(node['$ref'], path, depth);
    if (node['const'] !== undefined) return literal(JSON.stringify(node['const']));
    if (Array.isArray(node['enum'])) {
      if (node['enum'].length === 0) throw new SchemaRefusal(path, 'allows nothing');
      return choiceOf([...new Set(node['enum'].map((value) => JSON.stringify(value)))]);
    }
    for (const keyword of ['anyOf', 'oneOf'] as const) {
      const options = node[keyword];
      if (!Array.isArray(options)) continue;
      const parts = options.map((option, at) =>
        this.define(this.expressionOf(option, `${path}/${keyword}/${at}`, depth + 1)),
      );
      return this.oneOfThese(parts, path);
    }
    if (Array.isArray(node['allOf'])) {
      if (node['allOf'].length !== 1) throw new SchemaRefusal(`${path}/allOf`, 'must hold one schema, not several');
      return this.expressionOf(node['allOf'][0], `${path}/allOf/0`, depth + 1);
    }
    const types = typesOf(node);
    if (types === undefined) return 'value';
    return this.oneOfThese(
      types.map((type) => this.typeExpression(type, node, path, depth)),
      path,
    );
  }

  private oneOfThese(parts: readonly string[], path: string): string {
    if (parts.length === 0) throw new SchemaRefusal(path, 'allows nothing');
    return parts.length === 1 ? parts[0]! : parts.map((part) => `(${part})`).join(' | ');
  }

  private typeExpression(type: unknown, node: Record<string, unknown>, path: string, depth: number): string {
    switch (type) {
      case 'string':
        return this.stringExpression(node, path);
      case 'integer':
      case 'number':
      case 'boolean':
      case 'null':
        return type;
      case 'array':
        return this.arrayExpression(node, path, depth);
      case 'object':
        return this.objectExpression(node, path, depth);
      default:
        throw new SchemaRefusal(`${path}/type`, 'must be string, number, integer, boolean, null, array or object');
    }
  }

  private stringExpression(node: Record<string, unknown>, path: string): string {
    const format = node['format'];
    const held = typeof format === 'string' ? formatExpression(format) : undefined;
    if (held !== undefined) return `"\\"" ${held} "\\""`;
    if (format !== undefined && this.isStrict)
      throw new SchemaRefusal(`${path}/format`, 'is not held by the grammar: date, time, date-time and uuid are');
    const range = this.repetition(node, 'minLength', 'maxLength', path);
    return range === undefined ? 'string' : `"\\"" char${range} "\\""`;
  }

  private repetition(node: Record<string, unknown>, lower: string, upper: string, path: string): string | undefined {
    const [least, most] = [node[lower], node[upper]];
    if (least === undefined && most === undefined) return undefined;
    for (const [keyword, value] of [
      [lower, least],
      [upper, most],
    ] as const) {
      if (typeof value !== 'number' || value <= longestRepetition) continue;
      if (this.isStrict) throw new SchemaRefusal(`${path}/${keyword}`, `must be at most ${longestRepetition}`);
      return undefined;
    }
    this.countRepetitions(Number(most ?? least), path);
    return `{${Number(least ?? 0)},${most === undefined ? '' : Number(most)}}`;
  }

  private countRepetitions(count: number, path: string): void {
    this.repetitions += count;
    if (this.repetitions > mostRepetitions)
      throw new SchemaRefusal(path, `repeats too much: lengths may add up to ${mostRepetitions} in all`);
  }

  private arrayExpression(node: Record<string, unknown>, path: string, depth: number): string {
    if (Array.isArray(node['prefixItems'])) {
      const parts = node['prefixItems'].map((item, at) =>
        this.define(this.expressionOf(item, `${path}/prefixItems/${at}`, depth + 1)),
      );
      return `"[" ws ${parts.join(' ws "," ws ')} ws "]"`;
    }
    const { items } = node;
    const item = items === undefined ? 'value' : this.define(this.expressionOf(items, `${path}/items`, depth + 1));
    const [least, most] = [Number(node['minItems'] ?? 0), node['maxItems']];
    if (most === 0) return '"[" ws "]"';
    if (Math.max(least, Number(most ?? 0)) > longestRepetition)
      throw new SchemaRefusal(`${path}/maxItems`, `must be at most ${longestRepetition}`);
    this.countRepetitions(Math.max(least, Number(most ?? 0)), path);
    const more = `("," ws ${item} ws){${Math.max(0, least - 1)},${most === undefined ? '' : Number(most) - 1}}`;
    return least === 0 ? `"[" ws (${item} ws ${more})? "]"` : `"[" ws ${item} ws ${more} "]"`;
  }

  /**
   * Two chains of rules, from the last property to the first: what may follow when nothing is written yet, and what may
   * follow behind a property, with its comma.
   */
  private objectExpression(node: Record<string, unknown>, path: string, depth: number): string {
    const properties = Object.entries((node['properties'] ?? {}) as Record<string, unknown>);
    const required = new Set((node['required'] ?? []) as string[]);
    const unnamed = [...required].filter((name) => !properties.some(([property]) => property === name));
    const all = [...properties, ...unnamed.map((name) => [name, true] as [string, unknown])];
    const other = this.otherProperty(node, all.length === 0, path, depth);
    let first = other === undefined ? '' : `(${other} ws ("," ws ${other} ws)*)?`;
    let later = other === undefined ? '' : `("," ws ${other} ws)*`;
    for (const [name, schema] of all.toReversed()) {
      const value = this.define(this.expressionOf(schema, `${path}/properties/${pointerPart(name)}`, depth + 1));
      const pair = `${literal(JSON.stringify(name))} ws ":" ws ${value} ws`;
      const [firstRule, laterRule] = [
        this.define(first === '' ? '""' : first),
        this.define(later === '' ? '""' : later),
      ];
      const isOptional = !required.has(name);
      first = `${pair} ${laterRule}${isOptional ? ` | ${firstRule}` : ''}`;
      later = `"," ws ${pair} ${laterRule}${isOptional ? ` | ${laterRule}` : ''}`;
    }
    return first === '' ? '"{}"' : `"{" ws ${this.define(first)} "}"`;
  }

  private otherProperty(
    node: Record<string, unknown>,
    isOpen: boolean,
    path: string,
    depth: number,
  ): string | undefined {
    const { additionalProperties: given } = node;
    if (given === false || (given === undefined && !isOpen)) return undefined;
    const value =
      given === undefined || given === true
        ? 'value'
        : this.define(this.expressionOf(given, `${path}/additionalProperties`, depth + 1));
    return this.define(`string ws ":" ws ${value}`);
  }

  private reference(ref: unknown, path: string, depth: number): string {
    if (typeof ref !== 'string' || !(ref === '#' || ref.startsWith('#/')))
      throw new SchemaRefusal(`${path}/$ref`, 'must lead into the same schema: #/$defs/<name>');
    const known = this.refs.get(ref);
    if (known !== undefined) return known;
    let target: unknown = this.root;
    for (const part of ref.split('/').slice(1)) {
      const key = decodeURIComponent(part).replaceAll('~1', '/').replaceAll('~0', '~');
      target = typeof target === 'object' && target !== null ? (target as Record<string, unknown>)[key] : undefined;
    }
    if (target === undefined) throw new SchemaRefusal(`${path}/$ref`, `leads nowhere: ${ref}`);
    // Named before it is written, so that it may lead to itself.
    const name = this.define('""');
    this.refs.set(ref, name);
    this.rules.set(name, this.expressionOf(target, path, depth + 1));
    return name;
  }
}

/** @returns GBNF for any JSON object */
export function anyObjectGrammar(): string {
  return new JsonGrammar().text('object');
}

/**
 * One of some different texts, with what they begin alike written once: llama.cpp tries each alternative at each token, so a
 * flat list of thousands would take seconds.
 */
function choiceOf(texts: readonly string[]): string {
  const [first = '', ...others] = texts;
  if (others.length === 0) return literal(first);
  let shared = 0;
  while (shared < first.length && others.every((text) => text[shared] === first[shared])) shared += 1;
  // A pair of surrogates is one character and has to stay together.
  if (shared > 0 && /[\uD800-\uDBFF]/.test(first[shared - 1]!)) shared -= 1;
  const branches = Map.groupBy(texts, (text) => Array.from(text.slice(shared, shared + 2))[0] ?? '');
  const parts = Array.from(branches.values(), (branch) => choiceOf(branch.map((text) => text.slice(shared))));
  return `${shared === 0 ? '' : `${literal(first.slice(0, shared))} `}(${parts.join(' | ')})`;
}

/** A text as GBNF writes it. */
export function literal(text: string): string {
  const escaped = text
    .replaceAll('\\', '\\\\')
    .replaceAll('"', '\\"')
    .replaceAll('\n', '\\n')
    .replaceAll('\r', '\\r')
    .replaceAll('\t', '\\t');
  return `"${escaped}"`;
}

const pointerPart = (name: string): string => name.replaceAll('~', '~0').replaceAll('/', '~1');

function formatExpression(format: string): string | undefined {
  if (format === 'date-time') return `${formats.date} "T" ${formats.time}`;
  return Object.hasOwn(formats, format) ? formats[format as keyof typeof formats] : undefined;
}

function typesOf(node: Record<string, unknown>): unknown[] | undefined {
  const { type } = node;
  if (Array.isArray(type)) return type;
  if (type !== undefined) return [type];
  if (node['properties'] !== undefined) return ['object'];
  if (node['items'] !== undefined || node['prefixItems'] !== undefined) return ['array'];
  return undefined;
}
