import type { Pattern } from "./pattern.ts";

/** The names are those of the official evaluator: they appear in error objects, which tools compare. */
export type TokenType =
  | "LEFT_PAREN"
  | "RIGHT_PAREN"
  | "OR"
  | "AND"
  | "NOT"
  | "EQUAL"
  | "NOT_EQUAL"
  | "GREATER"
  | "GREATER_EQUAL"
  | "LESS"
  | "LESS_EQUAL"
  | "BUILTIN"
  | "TRUE"
  | "FALSE"
  | "NUMBER"
  | "STRING"
  | "PATTERN"
  | "IDENTIFIER"
  | "EOF";

export interface Token {
  type: TokenType;
  /** The source text of the token; empty at the end of the source. */
  lexeme: string;
  /** Offset of the first character in the source, 0-based. */
  charPos: number;
  /** What a NUMBER, STRING, PATTERN, TRUE or FALSE stands for. An integer beyond 2^53 is a bigint. */
  literal?: string | number | bigint | boolean | Pattern;
}

const words = new Map<string, TokenType>([
  ["or", "OR"],
  ["and", "AND"],
  ["not", "NOT"],
  ["true", "TRUE"],
  ["false", "FALSE"],
  ["OR", "OR"],
  ["AND", "AND"],
  ["NOT", "NOT"],
  ["TRUE", "TRUE"],
  ["FALSE", "FALSE"],
  ["contains", "BUILTIN"],
  ["starts-with", "BUILTIN"],
  ["matches", "BUILTIN"],
]);

/** What a word is: an operator, a boolean, or else an identifier. Mixed case (`And`) makes an identifier. */
export function wordType(word: string): TokenType {
  return words.get(word) ?? "IDENTIFIER";
}

const identifier = /^[A-Za-z][\w?-]*(?:\.[\w?-]+)*$/;

/** The name, when the text is nothing but one identifier with blanks around it: the common case, decided without parsing. */
export function plainIdentifier(text: string): string | undefined {
  const name = text.trim();
  return identifier.test(name) && wordType(name) === "IDENTIFIER" ? name : undefined;
}
