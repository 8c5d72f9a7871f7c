/** A text with `<< tags >>`, cut into parts. */
export interface Template {
  parts: Part[];
  /** The text is one tag and nothing else: it takes the value with its type. */
  whole: Tag | undefined;
}

export type Part = { kind: "text"; text: string } | Tag | Section;

export interface Tag {
  kind: "tag";
  /** What stands between the brackets, without blanks around it. */
  expression: string;
  /** x, when the expression is `parameters.x`: by far the most are. */
  parameter: string | undefined;
  /** Offset and length of the whole tag in the text. */
  offset: number;
  length: number;
}

/** `<<# x >>…<</ x >>`, shown when x is true, or `<<^ x >>…`, when it is not. */
export interface Section {
  kind: "section";
  tag: Tag;
  inverted: boolean;
  parts: Part[];
}

export type TemplateProblem = { problem: string; tag: Tag };

/** Mustache with `<<` and `>>`. `\<<` stands for `<<`. What has no `>>` on its line is text: a heredoc. */
export function parseTemplate(text: string): Template | TemplateProblem {
  const root: Part[] = [];
  const open: Section[] = [];
  let parts = root;
  for (const token of withoutLines(tokens(text), text)) {
    if (token.kind === "text") pushText(parts, token.text);
    else if (token.sigil === "") parts.push(token.tag);
    else if (token.sigil === "#" || token.sigil === "^") {
      const section: Section = { kind: "section", tag: token.tag, inverted: token.sigil === "^", parts: [] };
      parts.push(section);
      open.push(section);
      parts = section.parts;
    } else {
      const section = open.pop();
      if (section?.tag.expression !== token.tag.expression)
        return { problem: `The section <</ ${token.tag.expression} >> was not opened.`, tag: token.tag };
      parts = open.at(-1)?.parts ?? root;
    }
  }
  const left = open.at(-1);
  if (left) return { problem: `The section <<# ${left.tag.expression} >> is not closed.`, tag: left.tag };
  const [first] = root;
  return { parts: root, whole: root.length === 1 && first?.kind === "tag" ? first : undefined };
}

type Token = { kind: "text"; text: string } | { kind: "tag"; sigil: string; tag: Tag };

function tokens(text: string): Token[] {
  const found: Token[] = [];
  let done = 0;
  let at = text.indexOf("<<");
  while (at !== -1) {
    if (text[at - 1] === "\\") {
      found.push({ kind: "text", text: `${text.slice(done, at - 1)}<<` });
      done = at + 2;
      at = text.indexOf("<<", done);
      continue;
    }
    const tag = tagAt(text, at);
    if (tag) {
      if (at > done) found.push({ kind: "text", text: text.slice(done, at) });
      found.push(tag);
      done = tag.tag.offset + tag.tag.length;
      at = text.indexOf("<<", done);
    } else at = text.indexOf("<<", at + 1);
  }
  if (done < text.length) found.push({ kind: "text", text: text.slice(done) });
  return found;
}

/** The tag that begins here. It ends on its line, and before another one begins. */
function tagAt(text: string, offset: number): Extract<Token, { kind: "tag" }> | undefined {
  const end = closingOf(text, offset + 2);
  if (end === -1) return undefined;
  const inner = text.slice(offset + 2, end).trim();
  const sigil = inner.startsWith("#") || inner.startsWith("^") || inner.startsWith("/") ? inner.slice(0, 1) : "";
  const expression = inner.slice(sigil.length).trim();
  if (expression === "") return undefined;
  return {
    kind: "tag",
    sigil,
    tag: { kind: "tag", expression, parameter: parameterOf(expression), offset, length: end + 2 - offset },
  };
}

function parameterOf(expression: string): string | undefined {
  return expression.startsWith("parameters.") ? expression.slice("parameters.".length) : undefined;
}

function closingOf(text: string, from: number): number {
  for (let at = from; at < text.length; at++) {
    const character = text.charCodeAt(at);
    if (character === lineFeed) return -1;
    const isTwice = character === text.charCodeAt(at + 1);
    if (character === greater && isTwice) return at;
    if (character === less && isTwice) return -1;
  }
  return -1;
}

const lineFeed = 10;
const less = 60;
const greater = 62;

/** A section tag alone on its line disappears with the line. */
function withoutLines(list: Token[], text: string): Token[] {
  for (const [index, token] of list.entries()) {
    if (token.kind !== "tag" || token.sigil === "") continue;
    const { offset, length } = token.tag;
    const head = /(?:^|\n)([ \t]*)$/.exec(text.slice(Math.max(0, offset - maxBlanks), offset))?.[1];
    const tail = /^[ \t]*(\r?\n|$)/.exec(text.slice(offset + length, offset + length + maxBlanks));
    if (head === undefined || !tail) continue;
    const before = list[index - 1];
    const after = list[index + 1];
    if (before?.kind === "text") before.text = before.text.slice(0, before.text.length - head.length);
    if (after?.kind === "text") after.text = after.text.slice(tail[0].length);
  }
  return list.filter((token) => token.kind === "tag" || token.text !== "");
}

/** More blanks than this after a tag are not looked through. */
const maxBlanks = 200;

function pushText(parts: Part[], text: string): void {
  const last = parts.at(-1);
  if (last?.kind === "text") last.text += text;
  else parts.push({ kind: "text", text });
}
