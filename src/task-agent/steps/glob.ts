import { lstatSync, readdirSync, statSync } from "node:fs";

/**
 * Names below a directory that a pattern of Go's filepath.Match matches, as filepath.Glob finds them: `*` and `?` stop at
 * `/`, `[a-z]` and `[^a-z]` are classes, `\` quotes, and a leading dot is nothing special. Names are latin1 strings of bytes.
 */
export function glob(directory: string, pattern: string): string[] {
  const segments = pattern.split("/").filter((segment) => segment !== "" && segment !== ".");
  let found = [""];
  for (const [index, segment] of segments.entries()) {
    const last = index === segments.length - 1;
    found = found.flatMap((name) => {
      const path = name === "" ? directory : `${directory}/${name}`;
      return namesIn(path, segment)
        .filter((match) => last || isDirectory(`${path}/${match}`))
        .map((match) => (name === "" ? match : `${name}/${match}`));
    });
  }
  return found;
}

function namesIn(path: string, segment: string): string[] {
  if (!/[*?[\\]/.test(segment)) {
    const literal = Buffer.from(segment).toString("latin1");
    return lstatSync(Buffer.from(`${path}/${literal}`, "latin1"), { throwIfNoEntry: false }) ? [literal] : [];
  }
  const expression = compileSegment(segment);
  try {
    const names = readdirSync(Buffer.from(path, "latin1"), "latin1");
    return names.filter((name) => expression.test(Buffer.from(name, "latin1").toString("utf8"))).sort();
  } catch {
    return [];
  }
}

function isDirectory(path: string): boolean {
  return statSync(Buffer.from(path, "latin1"), { throwIfNoEntry: false })?.isDirectory() ?? false;
}

/** One segment of a pattern as a regular expression without nested repetition. Throws SyntaxError where Go says ErrBadPattern. */
export function compileSegment(segment: string): RegExp {
  let source = "";
  for (const match of segment.matchAll(/\\([^])|\[(\^?)((?:\\[^]|[^\]\\])+)\]|\*+|[^]/gu)) {
    const [text, quoted, negated, members] = match;
    if (quoted !== undefined) source += literal(quoted);
    else if (members !== undefined) source += `[${negated ?? ""}${classMembers(members)}]`;
    else if (text.startsWith("*")) source += "[^/]*";
    else if (text === "?") source += "[^/]";
    else if (text === "[" || text === "\\") throw new SyntaxError(`the pattern "${segment}" is not closed`);
    else source += literal(text);
  }
  return new RegExp(`^${source}$`, "su");
}

function literal(char: string): string {
  return char.replaceAll(/[\\^$.*+?()[\]{}|/]/g, String.raw`\$&`);
}

function classMembers(members: string): string {
  return [...members.matchAll(/(\\?[^])(?:-(\\?[^]))?/gu)]
    .map(([, from, to]) => member(from ?? "") + (to === undefined ? "" : `-${member(to)}`))
    .join("");
}

function member(text: string): string {
  const char = text.length > 1 && text.startsWith("\\") ? text.slice(1) : text;
  return char === "-" ? String.raw`\-` : literal(char);
}
