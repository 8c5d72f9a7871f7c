import type { Place } from "../../diagnostics/source.ts";
import {
  evaluate,
  plainIdentifier,
  renderExpressionError,
  unknownName as unknownMarker,
} from "../../expression/index.ts";
import { limits } from "../../parse/limits.ts";
import {
  brokenNode,
  type Entry,
  finalNode,
  listNode,
  mapNode,
  type Node,
  plain,
  type ScalarNode,
  scalarNode,
} from "../../parse/node.ts";
import { type Here, report, spend } from "../pass.ts";
import { isTruthy } from "../truth.ts";
import { lookup, lookupValue, unknownName } from "./lookup.ts";
import { type Part, parseTemplate, type Tag, type Template } from "./parse.ts";

/** A node with its templates filled in. What has none is returned as it is, and shared. */
export function resolve(node: Node, here: Here): Node {
  if (!node.templated || !here.pass.templating || !spend(here, node.kind === "scalar" ? 1 : node.size, node))
    return node;
  switch (node.kind) {
    case "scalar":
      return resolveText(node, here);
    case "list":
      return listNode(
        node.items.map((item) => resolve(item, here)),
        node,
      );
    case "map": {
      const entries = new Map<string, Entry>();
      for (const { key, value } of node.entries.values()) {
        const name = key.templated ? keyOf(resolve(key, here), key) : key;
        entries.set(String(name.value), { key: name, value: resolve(value, here) });
      }
      return mapNode(entries, node);
    }
    default:
      return node;
  }
}

function keyOf(node: Node, key: ScalarNode): ScalarNode {
  return { ...key, templated: false, value: textOf(node) };
}

function resolveText(node: ScalarNode, here: Here): Node {
  const template = templateOf(node, here);
  if (!template) return brokenNode(node);
  if (template.whole) {
    const value = tagValue(template.whole, here, node);
    // The finding's place is where the template stands, not where its value came from.
    return value.kind === "scalar" ? finalNode(value.value ?? "", node) : value;
  }
  const text = splice(template, node, here);
  return text === undefined ? brokenNode(node) : finalNode(text, node);
}

/** The text that a template makes; undefined when something is wrong with it, which is told. */
export function splice(template: Template, node: ScalarNode, here: Here): string | undefined {
  const writer: Writing = { here, at: node, text: "", broken: false };
  write(template.parts, writer);
  if (writer.text.length > limits.string) {
    const message = `This template makes a text of more than ${limits.string} characters.`;
    report(here, { code: "too-big", at: node, message });
    return undefined;
  }
  return writer.broken || !spend(here, writer.text.length >> 6, node) ? undefined : writer.text;
}

export function templateOf(node: ScalarNode, here: Here): Template | undefined {
  const text = String(node.value);
  const known = here.pass.templates.get(text);
  if (known) return known;
  const template = parseTemplate(text);
  if ("problem" in template) {
    report(here, {
      code: "bad-template",
      at: node,
      message: template.problem,
      hint: "Write `\\<<` where a text has `<<` itself.",
    });
    return undefined;
  }
  here.pass.templates.set(text, template);
  return template;
}

interface Writing {
  here: Here;
  at: ScalarNode;
  text: string;
  broken: boolean;
}

function write(parts: readonly Part[], writing: Writing): void {
  for (const part of parts) {
    if (writing.text.length > limits.string) return;
    if (part.kind === "text") {
      writing.text += part.text;
      continue;
    }
    const value = tagValue(part.kind === "tag" ? part : part.tag, writing.here, writing.at);
    if (value.kind === "broken") writing.broken = true;
    else if (part.kind === "tag") writing.text += textOf(value);
    else if (isTruthy(value) !== part.inverted) write(part.parts, writing);
  }
}

/** What a tag stands for; broken, and told, when it stands for nothing. */
function tagValue(tag: Tag, here: Here, node: ScalarNode): Node {
  const { expression } = tag;
  const known =
    tag.parameter === undefined ? lookup(expression, here, node) : here.scope.parameters?.get(tag.parameter);
  if (known) return known;
  const at = placeOf(tag, node);
  // A parameter whose name is no identifier is looked up as it stands.
  if (plainIdentifier(expression) || /^(parameters|matrix|pipeline\.parameters)\.[^\s"()=!<>]+$/.test(expression))
    return unknownName(expression, here, at);
  return expressionValue(expression, here, at);
}

/** Null stands for undefined: a name that is known and has no value now. */
export function expressionValue(expression: string, here: Here, at: Place): Node {
  const missing: string[] = [];
  const result = evaluate(expression, (name) => {
    const value = lookupValue(name, here, at);
    if (value !== undefined) return value ?? undefined;
    missing.push(name);
    return unknownMarker;
  });
  if (result.ok) return scalarNode(scalarOf(result.value), at);
  const [name] = missing;
  if (name?.startsWith("parameters.")) return unknownName(name, here, at);
  report(here, { code: "bad-expression", at, message: renderExpressionError(result.error, expression) });
  return brokenNode(at);
}

function scalarOf(value: unknown): ScalarNode["value"] {
  if (typeof value === "bigint") return Number(value);
  return typeof value === "string" || typeof value === "number" || typeof value === "boolean" ? value : null;
}

/** A value as it is spliced into a text. */
export function textOf(node: Node): string {
  if (node.kind === "scalar") return node.value === null ? "" : String(node.value);
  if (node.kind === "closure") return textOf(node.node);
  return node.kind === "broken" ? "" : JSON.stringify(plain(node));
}

/** The tag's own place, where the text stands in the source as it is. */
function placeOf(tag: Tag, node: ScalarNode): Place {
  const written = node.source.text.slice(node.start, node.end);
  const shown = String(node.value).slice(tag.offset, tag.offset + tag.length);
  const offset = written.indexOf(shown);
  if (offset === -1) return node;
  return { source: node.source, start: node.start + offset, end: node.start + offset + shown.length };
}
