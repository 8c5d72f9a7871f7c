import { RE2JS } from "re2js";

/** A pattern that has to match the whole of a text. */
export interface WholePattern {
  matches(text: string): boolean;
}

/**
 * CircleCI's branch filters and `matches` are Java patterns; ours run in linear time, which Java's cannot. RE2 reads nearly
 * all of them. Of look-arounds, which it refuses, those are taken that people write in filters: at the beginning
 * (`^(?!release/).*$`), repeated before every character (`^((?!docs/).)*$`), and look-behinds. Undefined for all else.
 */
export function compileJavaPattern(pattern: string): WholePattern | undefined {
  const { ahead, rest } = leadingLookAheads(withoutAnchors(pattern));
  const forbidden = repeatedLookAhead(rest);
  if (forbidden !== undefined) return all([...ahead.map(startTest), withoutPart(forbidden, rest)]);
  // A look-ahead belongs to its own alternative alone.
  if (ahead.length > 0 && hasAlternatives(rest)) return undefined;
  return all([...ahead.map(startTest), wholeTest(rest)]);
}

type Test = ((text: string) => boolean) | undefined;

interface LookAhead {
  negative: boolean;
  pattern: string;
}

function all(tests: Test[]): WholePattern | undefined {
  const known = tests.filter((test) => test !== undefined);
  if (known.length < tests.length) return undefined;
  return { matches: (text) => known.every((test) => test(text)) };
}

function wholeTest(pattern: string): Test {
  const compiled = compile(pattern);
  return compiled && ((text) => compiled.matches(text));
}

function startTest({ negative, pattern }: LookAhead): Test {
  const compiled = compile(pattern);
  return compiled && ((text) => compiled.matcher(text).lookingAt() !== negative);
}

function withoutPart(forbidden: string, whole: string): Test {
  const compiled = compile(forbidden);
  const needsOne = whole.endsWith("+");
  return compiled && ((text) => !(needsOne && text === "") && !text.includes("\n") && !compiled.matcher(text).find());
}

function compile(pattern: string): RE2JS | undefined {
  try {
    return RE2JS.compile(pattern, RE2JS.LOOKBEHINDS);
  } catch {
    return undefined;
  }
}

/** `^` at the beginning and `$` at the end say nothing where the whole text has to match. Between alternatives they stay. */
function withoutAnchors(pattern: string): string {
  if (hasAlternatives(pattern)) return pattern;
  const begun = pattern.startsWith("^") ? pattern.slice(1) : pattern;
  return begun.endsWith("$") && !begun.endsWith("\\$") ? begun.slice(0, -1) : begun;
}

function leadingLookAheads(pattern: string): { ahead: LookAhead[]; rest: string } {
  const ahead: LookAhead[] = [];
  let rest = pattern;
  while (rest.startsWith("(?!") || rest.startsWith("(?=")) {
    const end = closingParenthesis(rest);
    if (end === undefined || /^[*+?{]/.test(rest.slice(end + 1))) break;
    ahead.push({ negative: rest.startsWith("(?!"), pattern: rest.slice(3, end) });
    rest = rest.slice(end + 1);
  }
  return { ahead, rest };
}

/** The x of `((?!x).)*`, or undefined for another pattern. */
function repeatedLookAhead(pattern: string): string | undefined {
  const inner = /^\((?:\?:)?(\(\?!.*)\.\)[*+]$/s.exec(pattern)?.[1];
  if (inner === undefined || closingParenthesis(inner) !== inner.length - 1) return undefined;
  return inner.slice(3, -1);
}

/** Where the parenthesis that a pattern begins with is closed. */
function closingParenthesis(pattern: string): number | undefined {
  let depth = 0;
  for (const { at, character } of syntax(pattern)) {
    if (character === "(") depth += 1;
    if (character === ")") depth -= 1;
    if (depth === 0) return at;
  }
  return undefined;
}

function hasAlternatives(pattern: string): boolean {
  let depth = 0;
  for (const { character } of syntax(pattern)) {
    if (character === "(") depth += 1;
    if (character === ")") depth -= 1;
    if (character === "|" && depth === 0) return true;
  }
  return false;
}

/** The characters that mean something to the pattern: none that is escaped or stands in a class. */
function* syntax(pattern: string): Generator<{ at: number; character: string }> {
  let inClass = false;
  for (let at = 0; at < pattern.length; at++) {
    const character = pattern.charAt(at);
    if (character === "\\") at += 1;
    else if (inClass) inClass = character !== "]";
    else if (character === "[") {
      inClass = true;
      // A bracket that comes first, perhaps after ^, is a member of the class.
      if (pattern.startsWith("^", at + 1)) at += 1;
      if (pattern.startsWith("]", at + 1)) at += 1;
    } else yield { at, character };
  }
}
