/** A request in GraphQL that cannot be answered. The message is for whoever wrote it. */
export class GraphqlError extends Error {
  override name = "GraphqlError";
}

export interface Operation {
  type: "query" | "mutation";
  variables: Map<string, Variable>;
  fields: Field[];
}

export interface Variable {
  required: boolean;
  /** Undefined: it has no default. */
  fallback: Input | undefined;
}

export interface Field {
  /** The name in the answer. */
  alias: string;
  name: string;
  args: Map<string, Input>;
  /** Undefined: nothing inside of it was asked for. */
  fields: Field[] | undefined;
}

export type Input =
  | { kind: "variable"; name: string }
  | { kind: "value"; value: string | number | boolean | null }
  | { kind: "list"; items: Input[] };

export interface Token {
  kind: "name" | "string" | "number" | "mark" | "end";
  text: string;
  at: number;
}

const maxCharacters = 32_768;
const patterns: readonly [Token["kind"] | "nothing", RegExp][] = [
  ["nothing", /(?:[\s,\uFEFF]+|#[^\n\r]*)/y],
  ["name", /[_A-Za-z]\w*/y],
  ["string", /"(?!"")(?:[^"\\\n\r]|\\.)*"/y],
  ["number", /-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/y],
  ["mark", /[!$():=[\]{}]/y],
];

/** Throws GraphqlError. */
export function tokensOf(document: string): Token[] {
  if (document.length > maxCharacters) throw new GraphqlError(`a document has at most ${maxCharacters} characters`);
  const tokens: Token[] = [];
  let at = 0;
  while (at < document.length) {
    const token = tokenAt(document, at);
    if (!token) throw new GraphqlError(`character ${at + 1} of the document is not understood here`);
    if (token.kind !== "nothing") tokens.push({ kind: token.kind, text: token.text, at });
    at += token.text.length;
  }
  return [...tokens, { kind: "end", text: "the end", at }];
}

function tokenAt(document: string, at: number): { kind: Token["kind"] | "nothing"; text: string } | undefined {
  for (const [kind, pattern] of patterns) {
    pattern.lastIndex = at;
    const text = pattern.exec(document)?.[0];
    if (text !== undefined) return { kind, text };
  }
  return undefined;
}
