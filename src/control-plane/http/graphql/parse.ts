import {
  type Field,
  GraphqlError,
  type Input,
  type Operation,
  type Token,
  tokensOf,
  type Variable,
} from "./document.ts";

const maxDepth = 12;
const maxFields = 200;

/**
 * Reads the part of GraphQL that CircleCI's clients use: one operation, with variables, arguments and aliases. Fragments, directives
 * and maps as values are refused. Throws GraphqlError.
 */
export function parseDocument(document: string): Operation {
  const reader = new Reader(tokensOf(document));
  const type = reader.at("{") ? "query" : reader.name();
  if (type !== "query" && type !== "mutation") throw new GraphqlError(`a ${type} is not understood here`);
  if (reader.is("name")) reader.name();
  const variables = reader.at("(") ? new Map(reader.group("(", ")", variable)) : new Map<string, Variable>();
  const fields = selection(reader, 1);
  if (!reader.is("end")) throw new GraphqlError("a document has one operation, and no fragments, here");
  return { type, variables, fields };
}

function variable(reader: Reader): [string, Variable] {
  reader.take("$");
  const name = reader.name();
  reader.take(":");
  typeName(reader, 0);
  const required = reader.skip("!");
  const fallback = reader.skip("=") ? input(reader, 0) : undefined;
  return [name, { required, fallback }];
}

/** Types are not checked by their names: every argument is, where it is used. */
function typeName(reader: Reader, depth: number): void {
  if (depth > maxDepth) throw new GraphqlError("a type has too many lists inside one another");
  if (!reader.skip("[")) return void reader.name();
  typeName(reader, depth + 1);
  reader.skip("!");
  reader.take("]");
}

function selection(reader: Reader, depth: number): Field[] {
  if (depth > maxDepth) throw new GraphqlError(`fields are at most ${maxDepth} deep`);
  return reader.group("{", "}", () => field(reader, depth));
}

function field(reader: Reader, depth: number): Field {
  if (++reader.fields > maxFields) throw new GraphqlError(`a document asks for at most ${maxFields} fields`);
  const alias = reader.name();
  const name = reader.skip(":") ? reader.name() : alias;
  const args = reader.at("(") ? new Map(reader.group("(", ")", argument)) : new Map<string, Input>();
  return { alias, name, args, fields: reader.at("{") ? selection(reader, depth + 1) : undefined };
}

function argument(reader: Reader): [string, Input] {
  const name = reader.name();
  reader.take(":");
  return [name, input(reader, 0)];
}

function input(reader: Reader, depth: number): Input {
  if (depth > maxDepth) throw new GraphqlError("a value has too many lists inside one another");
  if (reader.skip("$")) return { kind: "variable", name: reader.name() };
  if (reader.at("[")) return { kind: "list", items: reader.group("[", "]", () => input(reader, depth + 1)) };
  const token = reader.next();
  switch (token.kind) {
    case "string":
    case "number":
      return { kind: "value", value: scalar(token) };
    case "name":
      // What is no keyword is a value of an enumeration: its name.
      return { kind: "value", value: keywords.has(token.text) ? (keywords.get(token.text) ?? null) : token.text };
    default:
      throw unexpected(token);
  }
}

const keywords = new Map([
  ["true", true],
  ["false", false],
  ["null", null],
]);

function scalar(token: Token): string | number {
  try {
    return JSON.parse(token.text) as string | number;
  } catch {
    throw unexpected(token);
  }
}

function unexpected(token: Token): GraphqlError {
  return new GraphqlError(`"${token.text}" at character ${token.at + 1} of the document is not understood here`);
}

class Reader {
  fields = 0;
  readonly #tokens: readonly Token[];
  #index = 0;

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens;
  }

  next(): Token {
    const token = this.#peek();
    if (token.kind === "end") throw new GraphqlError("the document ends too early");
    this.#index += 1;
    return token;
  }

  is(kind: Token["kind"]): boolean {
    return this.#peek().kind === kind;
  }

  at(mark: string): boolean {
    const token = this.#peek();
    return token.kind === "mark" && token.text === mark;
  }

  skip(mark: string): boolean {
    if (!this.at(mark)) return false;
    this.#index += 1;
    return true;
  }

  take(mark: string): void {
    if (!this.skip(mark)) throw unexpected(this.next());
  }

  name(): string {
    const token = this.next();
    if (token.kind !== "name") throw unexpected(token);
    return token.text;
  }

  group<T>(open: string, close: string, one: (reader: Reader) => T): T[] {
    this.take(open);
    const items: T[] = [];
    while (!this.skip(close)) items.push(one(this));
    return items;
  }

  #peek(): Token {
    const token = this.#tokens[this.#index];
    if (!token) throw new GraphqlError("the document ends too early");
    return token;
  }
}
