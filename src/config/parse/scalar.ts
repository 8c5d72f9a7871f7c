import type { Scalar } from "./node.ts";

const booleans = new Map<string, boolean>(
  [
    ["true", "yes", "on"],
    ["false", "no", "off"],
  ].flatMap((words, index) =>
    words.flatMap((word) =>
      [word, word.toUpperCase(), word.slice(0, 1).toUpperCase() + word.slice(1)].map((form): [string, boolean] => [
        form,
        index === 0,
      ]),
    ),
  ),
);

const integer = /^[-+]?[0-9]+$/;
const based = /^0(?:o[0-7]+|x[0-9a-fA-F]+)$/;
const float = /^[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$/;

/** What an unquoted scalar means: YAML 1.2's core schema, and also yes/no/on/off as CircleCI has them. */
export function plainScalar(text: string): Scalar {
  if (text === "" || text === "~" || text === "null" || text === "Null" || text === "NULL") return null;
  const first = text.charCodeAt(0);
  if (first > 57) return booleans.get(text) ?? text;
  return number(text) ?? text;
}

/** Digits that a number can't hold exactly stay text, so that nothing of them is lost. */
function number(text: string): number | undefined {
  if (integer.test(text) || based.test(text)) {
    const value = Number(text);
    return Number.isSafeInteger(value) ? value : undefined;
  }
  if (float.test(text)) return finite(Number(text));
  if (/^[-+]?\.(?:inf|Inf|INF)$/.test(text)) return text.startsWith("-") ? -Infinity : Infinity;
  return /^\.(?:nan|NaN|NAN)$/.test(text) ? Number.NaN : undefined;
}

function finite(value: number): number | undefined {
  return Number.isFinite(value) ? value : undefined;
}

/** A scalar with an explicit tag; undefined when the tag and the text don't fit. */
export function taggedScalar(tag: string, text: string): Scalar | undefined {
  switch (tag) {
    case "tag:yaml.org,2002:str":
      return text;
    case "tag:yaml.org,2002:null":
      return null;
    case "tag:yaml.org,2002:bool":
      return booleans.get(text);
    case "tag:yaml.org,2002:int":
    case "tag:yaml.org,2002:float":
      return number(text);
    default:
      return text;
  }
}
