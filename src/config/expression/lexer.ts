import { type ExpressionError, type Result, scanError } from "./errors.ts";
import { maxPatternLength, Pattern } from "./pattern.ts";
import { type Token, type TokenType, wordType } from "./token.ts";

/** Cuts an expression into tokens; the last one is EOF. Stops at the first text that is no token. */
export function tokenize(source: string): Result<Token[]> {
  const tokens: Token[] = [];
  let position = skipBlanks(source, 0);
  while (position < source.length) {
    const token = scanToken(source, position);
    if ("errorType" in token) return { ok: false, error: token };
    tokens.push(token);
    position = skipBlanks(source, position + token.lexeme.length);
  }
  tokens.push({ type: "EOF", lexeme: "", charPos: source.length });
  return { ok: true, value: tokens };
}

/** What stands at the end of the source where a character was looked for, as the official evaluator reports it. */
const endOfSource = "\0";

const maxInteger = 2n ** 63n - 1n;

// Sticky: they match at lastIndex or not at all, so that no token costs more than its own length.
const blanks = /[ \t\r\n]*/y;
const operator = /[()]|[!><]=?|==/y;
const digits = /\d+/y;
const word = /[A-Za-z][\w?-]*(?:\.[\w?-]+)*/y;

const operators: Record<string, TokenType> = {
  "(": "LEFT_PAREN",
  ")": "RIGHT_PAREN",
  "!": "NOT",
  "!=": "NOT_EQUAL",
  "==": "EQUAL",
  ">": "GREATER",
  ">=": "GREATER_EQUAL",
  "<": "LESS",
  "<=": "LESS_EQUAL",
};

function skipBlanks(source: string, position: number): number {
  return position + (match(blanks, source, position)?.[0].length ?? 0);
}

function scanToken(source: string, charPos: number): Token | ExpressionError {
  const sign = match(operator, source, charPos)?.[0];
  const type = sign === undefined ? undefined : operators[sign];
  if (sign !== undefined && type !== undefined) return { type, lexeme: sign, charPos };

  const first = characterAt(source, charPos);
  switch (first) {
    case "=":
      return scanError("INCOMPLETE_EQUALS", characterAt(source, charPos + 1), charPos + 1);
    case '"':
      return scanString(source, charPos);
    case "/":
      return scanPattern(source, charPos);
    default:
      return (
        scanNumber(source, charPos) ?? scanWord(source, charPos) ?? scanError("UNEXPECTED_CHARACTER", first, charPos)
      );
  }
}

function scanNumber(source: string, charPos: number): Token | ExpressionError | undefined {
  const lexeme = match(digits, source, charPos)?.[0];
  if (lexeme === undefined) return undefined;
  const significant = lexeme.replace(/^0+/, "");
  const integer = significant.length > 19 ? maxInteger + 1n : BigInt(lexeme);
  if (integer > maxInteger) return scanError("INVALID_NUMERIC_LITERAL", lexeme.charAt(0), charPos);
  return { type: "NUMBER", lexeme, charPos, literal: integer > Number.MAX_SAFE_INTEGER ? integer : Number(integer) };
}

function scanWord(source: string, charPos: number): Token | undefined {
  const lexeme = match(word, source, charPos)?.[0];
  if (lexeme === undefined) return undefined;
  const type = wordType(lexeme);
  return type === "TRUE" || type === "FALSE"
    ? { type, lexeme, charPos, literal: type === "TRUE" }
    : { type, lexeme, charPos };
}

function scanString(source: string, charPos: number): Token | ExpressionError {
  let end = charPos + 1;
  while (end < source.length && source.charAt(end) !== '"') end += isEscape(source, end) ? 2 : 1;
  if (end >= source.length) return scanError("UNTERMINATED_STRING", '"', charPos);
  const literal = source.slice(charPos + 1, end).replace(/\\(["\\])/g, "$1");
  return { type: "STRING", lexeme: source.slice(charPos, end + 1), charPos, literal };
}

function isEscape(source: string, position: number): boolean {
  return source.charAt(position) === "\\" && ['"', "\\"].includes(source.charAt(position + 1));
}

/** Only `\/` is unescaped; every other backslash belongs to the pattern. */
function scanPattern(source: string, charPos: number): Token | ExpressionError {
  const end = patternEnd(source, charPos);
  if (typeof end !== "number") return end;
  const text = source.slice(charPos + 1, end).replaceAll("\\/", "/");
  if (text.length > maxPatternLength) return scanError("PATTERN_TOO_LONG", "/", charPos);
  const pattern = Pattern.compile(text);
  if (!pattern) return scanError("INVALID_PATTERN", "/", charPos);
  return { type: "PATTERN", lexeme: source.slice(charPos, end + 1), charPos, literal: pattern };
}

/** Offset of the closing slash. Characters beyond Latin-1 are refused in any spelling, so that engines cannot differ. */
function patternEnd(source: string, charPos: number): number | ExpressionError {
  let position = charPos + 1;
  while (position < source.length) {
    const character = characterAt(source, position);
    if (character === "/") return position;
    const next = source.charAt(position + 1);
    const spelled = character === "\\" && (next === "u" || next === "x");
    if (spelled || character > "\u00ff") return scanError("INVALID_PATTERN_CHARACTER", character, position);
    position += character === "\\" && next === "/" ? 2 : 1;
  }
  return scanError("UNTERMINATED_PATTERN", "/", charPos);
}

function match(sticky: RegExp, source: string, position: number): RegExpExecArray | null {
  sticky.lastIndex = position;
  return sticky.exec(source);
}

function characterAt(source: string, position: number): string {
  const code = source.codePointAt(position);
  return code === undefined ? endOfSource : String.fromCodePoint(code);
}
