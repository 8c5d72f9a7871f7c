import { readdir, readFile } from "node:fs/promises";
import { basename, extname, join } from "node:path";
import { Document, isMap, isNode, isScalar, parseDocument, type Scalar, visit, YAMLMap } from "yaml";
import { CommandError, exitCode } from "../io.ts";
import { reasonOf } from "./input.ts";

export interface PackOptions {
  /** Folders that count; without it all do that don't begin with a dot. */
  folders?: readonly string[];
}

/**
 * One YAML text of a directory tree, as CircleCI's command line packs it. Nodes are moved, not values, so that quotes, numbers
 * as written and comments come out as they went in. Includes are read relative to the directory.
 */
export async function packDirectory(directory: string, options: PackOptions = {}): Promise<string> {
  const packed = new Document(await packFolder(directory, { ...options, isRoot: true }));
  const included: [Scalar, string][] = [];
  visit(packed, {
    Scalar(_key, scalar) {
      const file = typeof scalar.value === "string" ? includedFile(scalar.value) : undefined;
      if (file !== undefined) included.push([scalar, join(directory, file)]);
    },
  });
  for (const [scalar, file] of included) await include(scalar, file);
  return packed.toString({ lineWidth: 0 });
}

async function packFolder(directory: string, options: PackOptions & { isRoot: boolean }): Promise<YAMLMap> {
  const map = new YAMLMap();
  for (const entry of await entriesOf(directory)) {
    const path = join(directory, entry.name);
    if (entry.name.startsWith(".")) continue;
    if (entry.isDirectory()) {
      if (options.folders && !options.folders.includes(entry.name)) continue;
      const inner = await packFolder(path, { ...options, isRoot: false });
      if (inner.items.length > 0) merge(ownMap(map, entry.name), inner);
    } else if (/\.ya?ml$/.test(entry.name)) {
      const belongsHere = options.isRoot || entry.name.startsWith("@");
      merge(belongsHere ? map : ownMap(map, basename(entry.name, extname(entry.name))), await readMap(path));
    }
  }
  return map;
}

async function entriesOf(directory: string): Promise<{ name: string; isDirectory(): boolean }[]> {
  try {
    const entries = await readdir(directory, { withFileTypes: true });
    return entries.sort((left, right) => (left.name < right.name ? -1 : 1));
  } catch (cause) {
    throw new CommandError(`cannot read ${directory}: ${reasonOf(cause)}`, { exitCode: exitCode.usage, cause });
  }
}

async function readMap(file: string): Promise<YAMLMap> {
  const document = parseDocument(await readText(file), { merge: true, uniqueKeys: false, logLevel: "silent" });
  const [error] = document.errors;
  if (error)
    throw new CommandError(`${file} is not YAML: ${error.message}`, { exitCode: exitCode.usage, cause: error });
  const { contents } = document;
  if (contents === null || (isScalar(contents) && contents.value === null)) return new YAMLMap();
  if (!isMap(contents))
    throw new CommandError(`${file} is no map: only maps can be packed`, { exitCode: exitCode.usage });
  return contents;
}

async function readText(file: string): Promise<string> {
  try {
    return await readFile(file, "utf8");
  } catch (cause) {
    throw new CommandError(`cannot read ${file}: ${reasonOf(cause)}`, { exitCode: exitCode.usage, cause });
  }
}

function ownMap(map: YAMLMap, key: string): YAMLMap {
  const existing = map.get(key);
  if (isMap(existing)) return existing;
  const created = new YAMLMap();
  map.set(key, created);
  return created;
}

/** Of two equal keys the later one wins. */
function merge(target: YAMLMap, source: YAMLMap): void {
  for (const pair of source.items) {
    const key = plainKey(pair.key);
    const at = target.items.findIndex((one) => plainKey(one.key) === key);
    // Merge keys may stand several times, and keys that are no scalars are never the same.
    if (at === -1 || key === "<<" || key === undefined) target.items.push(pair);
    else target.items[at] = pair;
  }
}

/** Keys that were read are nodes; those that folders and files became are plain. */
function plainKey(key: unknown): unknown {
  if (isNode(key)) return isScalar(key) ? key.value : undefined;
  return key;
}

const includeTag = /<<\s*include\(([\w/.-]+)\)\s*>>/g;

function includedFile(text: string): string | undefined {
  const found = [...text.matchAll(includeTag)];
  const [first] = found;
  if (!first) return undefined;
  if (first[0] === text) return first[1];
  const problem = found.length > 1 ? "has several includes" : "has more than its include";
  throw new CommandError(
    `the text ${JSON.stringify(text.slice(0, 80))} ${problem}: an include has to be the whole text`,
    {
      exitCode: exitCode.usage,
    },
  );
}

/** What the file says is no template of the config: its tags are escaped. */
async function include(scalar: Scalar, file: string): Promise<void> {
  scalar.value = (await readText(file)).replaceAll("<<", "\\<<");
  scalar.type = "BLOCK_LITERAL";
}
