import { nearest } from "../../lib/nearest.ts";
import { foreign, yamlKeys } from "./keys.ts";

/** A value with the place that said it, for messages: `FILE:LINE: api.url`. */
export interface Said {
  text: string;
  where: string;
}

export interface YamlSettings {
  /** By the key's path: `api.url`; `api.url_file` names a file with the value. */
  values: Map<string, Said>;
  /** By the class's name. */
  classes: Map<string, { token?: Said; tokenFile?: Said }>;
  problems: string[];
}

const deepest = 4;

/** The settings of a YAML file, of the keys of machine runner 3 and ours. No value is repeated in a problem: one is a secret. */
export async function readYaml(text: string, file: string): Promise<YamlSettings> {
  // Loaded only where there is a file: the library is larger than this agent.
  const { isMap, isScalar, LineCounter, parseDocument } = await import("yaml");
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const settings: YamlSettings = { values: new Map(), classes: new Map(), problems: [] };
  const place = (offset: number) => `${file}:${lines.linePos(offset).line}`;
  for (const { code, pos } of document.errors) settings.problems.push(`${place(pos[0])}: this is not YAML (${code})`);
  if (settings.problems.length === 0 && document.contents !== null) visit(document.contents, []);
  return settings;

  function visit(node: unknown, path: string[]): void {
    const key = path.join(".");
    if (isMap(node) && path.length < deepest) for (const { key, value } of node.items) visitPair(key, value, path);
    else if (path.length === 0) settings.problems.push(`${file}: must be a map of settings`);
    else if (isScalar(node)) take(path, node);
    // The one key that is a list; it is refused whatever it says.
    else if (key === "runner.command_prefix") take(path, { value: "a list" });
    else if (node !== null) settings.problems.push(`${file}: ${key}: must be one value`);
  }

  function visitPair(key: unknown, value: unknown, path: string[]): void {
    const name = isScalar(key) ? textOf(key.value) : "?";
    const offset = isScalar(key) ? (key.range?.[0] ?? 0) : 0;
    // A class's name is none of our keys.
    const known = path[0] === "resource_classes" && path.length === 1 ? undefined : unknownKey([...path, name]);
    if (known) settings.problems.push(`${place(offset)}: ${known}`);
    else visit(value, [...path, name]);
  }

  function take(path: string[], node: { value?: unknown; range?: readonly number[] | null | undefined }): void {
    if (node.value === null || node.value === undefined) return;
    const key = path.join(".");
    const said = { text: textOf(node.value), where: `${place(node.range?.[0] ?? 0)}: ${key}` };
    const [section, name = "", field] = path;
    if (section !== "resource_classes") {
      settings.values.set(key, said);
      return;
    }
    const known = settings.classes.get(name) ?? {};
    settings.classes.set(name, { ...known, ...(field === "token" ? { token: said } : { tokenFile: said }) });
  }
}

/** Why a key is none, with the nearest one; undefined for one that is, or begins one. */
function unknownKey(path: readonly string[]): string | undefined {
  const key = path.join(".");
  const isClass = path[0] === "resource_classes";
  const known = isClass ? [] : allKeys();
  if (isClass && (path.length < 3 || ["token", "token_file"].includes(path[2] ?? ""))) return undefined;
  if (known.some((each) => each === key || each.startsWith(`${key}.`))) return undefined;
  const sections = new Set(known.map((each) => each.split(".").slice(0, path.length).join(".")));
  const meant = isClass
    ? nearest(path.at(-1) ?? "", ["token", "token_file"])
    : nearest(key, [...sections, "resource_classes"]);
  return `unknown key ${JSON.stringify(key.slice(0, 100))}.${meant ? ` Did you mean "${meant}"?` : ""}`;
}

function allKeys(): string[] {
  const ours = [...yamlKeys.keys()].flatMap((key) => (key === "logging.file" ? [key] : [key, `${key}_file`]));
  return [...ours, ...foreign.flatMap(({ key }) => (key === undefined ? [] : [key]))];
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}
