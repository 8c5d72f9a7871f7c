import type { Alias, Document, ParsedNode, YAMLMap, YAMLSeq, Scalar as YamlScalar } from "yaml";
import { isAlias, isMap, isScalar, isSeq } from "yaml";
import type { Reporter } from "../diagnostics/reporter.ts";
import type { Place, Source } from "../diagnostics/source.ts";
import { limits } from "./limits.ts";
import { brokenNode, type Entry, listNode, mapNode, type Node, type ScalarNode, scalarNode } from "./node.ts";
import { plainScalar, taggedScalar } from "./scalar.ts";

/** A YAML document → our nodes: aliases resolved and shared, merge keys merged, scalars typed, keys checked. */
export function convert(document: Document.Parsed, source: Source, reporter: Reporter): Node | undefined {
  const { contents } = document;
  if (!contents) return scalarNode(null, { source, start: 0, end: 0 });
  const node = new Converter(source, reporter).node(contents);
  if (node.size <= limits.nodes) return node;
  const message = `With its aliases written out the config has more than ${limits.nodes} values.`;
  reporter.report({
    code: "too-big",
    at: { source, start: 0, end: 0 },
    message,
    hint: "Aliases of aliases multiply: use commands and executors.",
  });
  return undefined;
}

class Converter {
  readonly #source: Source;
  readonly #reporter: Reporter;
  #isTooDeep = false;
  /** The node that each anchor stands for from here on: a later anchor of the same name replaces the earlier. */
  readonly #anchors = new Map<string, Node>();

  constructor(source: Source, reporter: Reporter) {
    this.#source = source;
    this.#reporter = reporter;
  }

  node(node: ParsedNode | null): Node {
    if (node === null) return scalarNode(null, this.#at(null));
    if (isAlias(node)) return this.#alias(node);
    const converted = isMap(node) ? this.#map(node) : isSeq(node) ? this.#list(node) : this.#scalar(node);
    const known = converted.depth > limits.depth ? this.#tooDeep(converted) : converted;
    if (node.anchor !== undefined) this.#anchors.set(node.anchor, known);
    return known;
  }

  #alias(alias: Alias): Node {
    const target = this.#anchors.get(alias.source);
    if (target) return target;
    const at = this.#at(alias);
    const message = `The alias *${alias.source} has no anchor &${alias.source} before it.`;
    this.#reporter.report({ code: "yaml-alias", at, message });
    return brokenNode(at);
  }

  /** Aliases inside anchored nodes make depth that the text does not show. */
  #tooDeep(at: Place): Node {
    if (this.#isTooDeep) return brokenNode(at);
    this.#isTooDeep = true;
    this.#reporter.report({ code: "too-deep", at, message: `Nested deeper than ${limits.depth} levels.` });
    return brokenNode(at);
  }

  #list(list: YAMLSeq.Parsed): Node {
    return listNode(
      list.items.map((item) => this.node(item as ParsedNode | null)),
      this.#at(list),
    );
  }

  #map(map: YAMLMap.Parsed): Node {
    const entries = new Map<string, Entry>();
    const merges: { value: Node; at: Place }[] = [];
    for (const pair of map.items) {
      const key = this.#key(pair.key);
      const value = this.node(pair.value);
      if (!key) continue;
      if (key.value === "<<" && isPlain(pair.key)) merges.push({ value, at: key });
      else this.#add(entries, { key, value });
    }
    return mapNode(merges.length === 0 ? entries : this.#merged(entries, merges), this.#at(map));
  }

  #add(entries: Map<string, Entry>, entry: Entry): void {
    const name = String(entry.key.value);
    const first = entries.get(name);
    if (first) {
      const code = isSame(first.value, entry.value) ? "repeated-key" : "duplicate-key";
      const message = `The key "${name}" is in this map twice.`;
      this.#reporter.report({ code, at: entry.key, message, hint: "Keep one of the two." });
    } else entries.set(name, entry);
  }

  /** Own keys win over merged ones; of several merged maps the first that has the key. */
  #merged(own: Map<string, Entry>, merges: { value: Node; at: Place }[]): Map<string, Entry> {
    const merged = new Map<string, Entry>();
    for (const { value, at } of merges) {
      for (const map of value.kind === "list" ? value.items : [value]) {
        if (map.kind === "map") {
          for (const [name, entry] of map.entries) if (!merged.has(name)) merged.set(name, entry);
        } else if (map.kind !== "broken") {
          const hint = "Merge an alias of a map: `<<: *name`.";
          this.#reporter.report({ code: "yaml-merge", at, message: "Only maps can be merged with <<.", hint });
        }
      }
    }
    for (const [name, entry] of own) merged.set(name, entry);
    return merged;
  }

  #key(key: ParsedNode | null): ScalarNode | undefined {
    const node = this.node(key);
    if (node.kind === "scalar")
      return typeof node.value === "string" ? node : { ...node, value: node.text ?? String(node.value ?? "") };
    if (node.kind !== "broken")
      this.#reporter.report({ code: "yaml-key", at: node, message: "A key has to be a plain text." });
    return undefined;
  }

  #scalar(scalar: YamlScalar.Parsed): Node {
    const text = typeof scalar.value === "string" ? scalar.value : scalar.source;
    const at = this.#at(scalar);
    const value =
      scalar.tag !== undefined && scalar.tag !== "?"
        ? this.#tagged(scalar.tag, text, at)
        : scalar.type === "PLAIN"
          ? plainScalar(text)
          : text;
    const node = scalarNode(value, at);
    if (typeof value !== "string" && String(value) !== text) node.text = text;
    return node;
  }

  #tagged(tag: string, text: string, at: Place): ScalarNode["value"] {
    const value = taggedScalar(tag, text);
    if (value !== undefined) return value;
    this.#reporter.report({ code: "yaml-tag", at, message: `"${text}" is not what the tag ${tag} says.` });
    return text;
  }

  #at(node: { range?: readonly number[] | null } | null): Place {
    const [start = 0, end = start] = node?.range ?? [];
    return { source: this.#source, start, end };
  }
}

function isSame(a: Node, b: Node): boolean {
  return a.kind === "scalar" && b.kind === "scalar" && a.value === b.value;
}

function isPlain(key: unknown): boolean {
  return isScalar(key) && key.type === "PLAIN";
}
