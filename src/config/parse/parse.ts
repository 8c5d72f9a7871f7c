import { Composer, type Document, Lexer, Parser, type YAMLParseError } from "yaml";
import type { Reporter } from "../diagnostics/reporter.ts";
import type { Source } from "../diagnostics/source.ts";
import { convert } from "./convert.ts";
import { limits } from "./limits.ts";
import type { Node } from "./node.ts";

/** Text → nodes with positions. Undefined when the text is not YAML; the reporter knows why. */
export function parse(source: Source, reporter: Reporter): Node | undefined {
  const size = sizeProblem(source.text);
  if (size !== undefined) {
    reporter.report({ code: "too-big", at: { source, start: 0, end: 0 }, message: size });
    return undefined;
  }
  const documents = compose(source, reporter);
  const [document, second] = documents ?? [];
  if (!document) return undefined;
  if (second) {
    const at = { source, start: second.range[0], end: second.range[0] + 3 };
    const hint = "Keep one document; `---` begins another one.";
    reporter.report({
      code: "yaml-documents",
      at,
      message: "A config is one YAML document, this text has more.",
      hint,
    });
  }
  // CircleCI's reader takes `"text"#comment`. What follows the first error is most often only its consequence.
  const first = document.errors.find(({ message }) => !message.startsWith("Comments must be separated"));
  if (first) {
    reportSyntax(first, source, reporter);
    return undefined;
  }
  return convert(document, source, reporter);
}

function sizeProblem(text: string): string | undefined {
  if (text.length > limits.text) return `The config has ${text.length} characters; the limit is ${limits.text}.`;
  let separators = 0;
  for (let at = 0; at < text.length; at++) {
    const character = text.charCodeAt(at);
    if (character === lineFeed || character === comma) separators++;
  }
  if (separators > limits.separators)
    return `The config has ${separators} lines and commas; the limit is ${limits.separators}.`;
  return undefined;
}

const lineFeed = 10;
const comma = 44;

/** Depth is watched while lexing: what composes the tokens afterwards calls itself for every level. */
function compose(source: Source, reporter: Reporter): Document.Parsed[] | undefined {
  // Keys are compared by ourselves (the library's way takes quadratic time), scalars are typed by ourselves.
  const composer = new Composer({
    schema: "failsafe",
    uniqueKeys: false,
    logLevel: "silent",
    prettyErrors: false,
    stringKeys: false,
  });
  const parser = new Parser();
  const documents: Document.Parsed[] = [];
  for (const lexeme of new Lexer().lex(source.text)) {
    for (const token of parser.next(lexeme)) documents.push(...composer.next(token));
    // A map inside a map takes one entry of the stack, as a list inside a list does.
    if (parser.stack.length > limits.depth) {
      const at = { source, start: parser.offset, end: parser.offset + 1 };
      reporter.report({ code: "too-deep", at, message: `Nested deeper than ${limits.depth} levels.` });
      return undefined;
    }
  }
  for (const token of parser.end()) documents.push(...composer.next(token));
  documents.push(...composer.end(true, source.text.length));
  return documents;
}

function reportSyntax(error: YAMLParseError, source: Source, reporter: Reporter): void {
  const [start, end] = error.pos;
  const message = error.message.replaceAll(/\s+at line \d+, column \d+:?[\s\S]*$/g, "");
  reporter.report({
    code: error.code === "BAD_ALIAS" ? "yaml-alias" : "yaml-syntax",
    at: { source, start, end },
    message,
    hint: syntaxHint(error),
  });
}

function syntaxHint(error: YAMLParseError): string {
  switch (error.code) {
    case "TAB_AS_INDENT":
      return "YAML is indented with spaces, never with tabs.";
    case "BAD_INDENT":
      return "Line up the keys of one map, and the dashes of one list, in one column.";
    case "MISSING_CHAR":
      return "Look for a quote or bracket that is not closed, or a missing colon.";
    default:
      return "Look at this line and the one before: indentation, a missing quote, or a colon inside of an unquoted text.";
  }
}
