import { type ExpressionError, type Result, tokenError } from "./errors.ts";
import { tokenize } from "./lexer.ts";
import type { Token, TokenType } from "./token.ts";

/** A parsed expression. `infix` covers every operator between two operands, `and` and `or` too. */
export type Expression =
  | { kind: "literal"; token: Token }
  | { kind: "identifier"; token: Token }
  | { kind: "not"; operand: Expression }
  | { kind: "infix"; operator: Token; left: Expression; right: Expression };

/** Parses `or < and < equality < comparison < not < operand`; operators of one level associate to the left. */
export function parse(source: string): Result<Expression> {
  const tokens = tokenize(source);
  if (!tokens.ok) return tokens;
  const cursor = new Cursor(tokens.value);
  const expression = parseInfix(cursor, weakest);
  if ("errorType" in expression) return { ok: false, error: expression };
  if (cursor.peek().type !== "EOF") return { ok: false, error: additionalInput(cursor) };
  return { ok: true, value: expression };
}

const weakest = 1;
const comparison = 4;
const binding: Partial<Record<TokenType, number>> = {
  OR: weakest,
  AND: 2,
  EQUAL: 3,
  NOT_EQUAL: 3,
  BUILTIN: 3,
  GREATER: comparison,
  GREATER_EQUAL: comparison,
  LESS: comparison,
  LESS_EQUAL: comparison,
};

/** Parentheses and negations within each other. Untrusted text must not decide how deep the stack gets. */
const maxDepth = 500;

class Cursor {
  depth = 0;
  readonly #tokens: Token[];
  #next = 0;

  constructor(tokens: Token[]) {
    this.#tokens = tokens;
  }

  peek(): Token {
    return this.#tokens[this.#next] ?? { type: "EOF", lexeme: "", charPos: 0 };
  }

  take(): Token {
    const token = this.peek();
    this.#next += 1;
    return token;
  }

  takeIf(type: TokenType): Token | undefined {
    return this.peek().type === type ? this.take() : undefined;
  }
}

type Parsed = Expression | ExpressionError;

/** Operands joined by operators that bind at least as strongly as given. */
function parseInfix(cursor: Cursor, strength: number): Parsed {
  let left = parsePrefix(cursor);
  while (!("errorType" in left)) {
    const ownStrength = binding[cursor.peek().type] ?? 0;
    if (ownStrength < strength) return left;
    const operator = cursor.take();
    const right = parseInfix(cursor, ownStrength + 1);
    left = "errorType" in right ? right : { kind: "infix", operator, left, right };
  }
  return left;
}

function parsePrefix(cursor: Cursor): Parsed {
  if (cursor.depth >= maxDepth) return tokenError("Parser/TOO_DEEP", cursor.peek());
  cursor.depth += 1;
  const parsed = cursor.takeIf("NOT") ? negate(parsePrefix(cursor)) : parseOperand(cursor);
  cursor.depth -= 1;
  return parsed;
}

function negate(operand: Parsed): Parsed {
  return "errorType" in operand ? operand : { kind: "not", operand };
}

function parseOperand(cursor: Cursor): Parsed {
  const token = cursor.peek();
  switch (token.type) {
    case "TRUE":
    case "FALSE":
    case "NUMBER":
    case "STRING":
    case "PATTERN":
      return { kind: "literal", token: cursor.take() };
    case "IDENTIFIER":
      return { kind: "identifier", token: cursor.take() };
    case "LEFT_PAREN":
      return parseGroup(cursor);
    default:
      return tokenError("Parser/EXPECTED_EXPRESSION", token);
  }
}

function parseGroup(cursor: Cursor): Parsed {
  cursor.take();
  const inner = parseInfix(cursor, weakest);
  if ("errorType" in inner || cursor.takeIf("RIGHT_PAREN")) return inner;
  return tokenError("Parser/EXPECTED_RIGHT_PAREN", cursor.peek());
}

/** `a strats-with b` looks like an expression, a name and another operand: then the name is most likely a misspelt operator. */
function additionalInput(cursor: Cursor): ExpressionError {
  const token = cursor.take();
  const misspelt = token.type === "IDENTIFIER" && !("errorType" in parseInfix(cursor, comparison));
  return tokenError(misspelt ? "Parser/UNKNOWN_BUILTIN_FUNCTION" : "Parser/UNEXPECTED_ADDITIONAL_INPUT", token);
}
