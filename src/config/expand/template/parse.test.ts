import { expect, test } from "vitest";
import { type Part, parseTemplate } from "./parse.ts";

function shown(parts: readonly Part[]): string {
  return parts
    .map((part) => {
      if (part.kind === "text") return part.text;
      if (part.kind === "tag") return `{${part.expression}}`;
      return `{${part.inverted ? "^" : "#"}${part.tag.expression}:${shown(part.parts)}}`;
    })
    .join("");
}

function read(text: string): string {
  const template = parseTemplate(text);
  return "problem" in template ? template.problem : `${template.whole ? "whole " : ""}${shown(template.parts)}`;
}

test.each([
  ["<<parameters.x>>", "whole {parameters.x}"],
  ["<<  parameters.x  >>", "whole {parameters.x}"],
  ["a<< x >>b<< y >>", "a{x}b{y}"],
  ["\\<< x >>", "<< x >>"],
  ["\\<<<< x >>", "<<{x}"],
  ["<< pipeline.number > 1 and a >= 2 >>", "whole {pipeline.number > 1 and a >= 2}"],
  ["cat <<EOF > f\n1 << 2\nEOF\necho >> f", "cat <<EOF > f\n1 << 2\nEOF\necho >> f"],
  ["1 << 2 << x >>", "1 << 2 {x}"],
  ["<< >>", "<< >>"],
  ["a << b", "a << b"],
  ["<<# x >>yes<</ x >><<^ x >>no<</ x >>", "{#x:yes}{^x:no}"],
  ["a\n  <<# x >>  \nb\n  <</ x >>\nc\n", "a\n{#x:b\n}c\n"],
  ["<<# x >>\n<<# y >>\nb\n<</ y >>\n<</ x >>", "{#x:{#y:b\n}}"],
  ["a <<# x >>\nb<</ x >>", "a {#x:\nb}"],
  ["<<# x >>", "The section <<# x >> is not closed."],
  ["<<# x >><</ y >>", "The section <</ y >> was not opened."],
  ["<</ y >>", "The section <</ y >> was not opened."],
])("%j is cut into %j", (text, parts) => {
  expect(read(text)).toBe(parts);
});
