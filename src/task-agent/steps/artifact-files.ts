import { lstatSync, readdirSync, realpathSync, type Stats } from "node:fs";
import { basename, isAbsolute, join, normalize, sep } from "node:path";
import { resolvePath } from "../workspace/places.ts";

export interface ArtifactFile {
  /** On disk, all links resolved. */
  path: string;
  /** Under which it is stored: relative, `/`-separated, no empty, `.` or `..` segment. */
  name: string;
}

export interface ArtifactSearch {
  path: string;
  destination: string | undefined;
  home: string;
  workingDirectory: string;
  /** Something is not stored: where, and why. */
  refuse: (path: string, reason: string) => void;
}

/** The files that a `store_artifacts` step means. Nothing but plain files, and none from outside by way of a link. */
export function findArtifacts(search: ArtifactSearch): ArtifactFile[] {
  const root = resolvePath(search.path, search.home, search.workingDirectory);
  const stats = lstatSync(root, { throwIfNoEntry: false });
  if (!stats) return [];
  const allowed = [real(search.workingDirectory), stats.isDirectory() ? real(root) : undefined];
  const prefix = search.destination === undefined ? defaultName(search, root) : cleaned(search.destination);
  if (!stats.isDirectory()) {
    const name = prefix === "" ? basename(root) : prefix;
    return leaf({ path: root, name, stats }, allowed, search);
  }
  const found: ArtifactFile[] = [];
  walk(root, prefix, (path, name, entry) => found.push(...leaf({ path, name, stats: entry }, allowed, search)), search);
  return found;
}

function walk(
  directory: string,
  prefix: string,
  visit: (path: string, name: string, stats: Stats) => void,
  search: ArtifactSearch,
): void {
  for (const name of readdirSync(directory).sort()) {
    const path = join(directory, name);
    const stats = lstatSync(path, { throwIfNoEntry: false });
    const stored = prefix === "" ? name : `${prefix}/${name}`;
    // Its bytes are no UTF-8: there is no word for it in an artifact's path.
    if (!stats) search.refuse(path, "its name is not UTF-8, or it has vanished");
    else if (stats.isDirectory()) walk(path, stored, visit, search);
    else visit(path, stored, stats);
  }
}

function leaf(
  file: ArtifactFile & { stats: Stats },
  allowed: (string | undefined)[],
  search: ArtifactSearch,
): ArtifactFile[] {
  const reason = file.stats.isSymbolicLink() ? linkRefusal(file.path, allowed) : typeRefusal(file.stats);
  if (reason !== undefined) {
    search.refuse(file.path, reason);
    return [];
  }
  return [{ path: real(file.path) ?? file.path, name: file.name }];
}

function linkRefusal(path: string, allowed: (string | undefined)[]): string | undefined {
  const target = real(path);
  if (target === undefined) return "it is a link to nothing";
  if (!allowed.some((root) => root !== undefined && target.startsWith(root === "/" ? root : root + sep)))
    return `it is a link to ${target}, outside what is stored and the working directory`;
  const stats = lstatSync(target, { throwIfNoEntry: false });
  if (stats?.isDirectory()) return "it is a link to a directory";
  return stats && typeRefusal(stats);
}

function typeRefusal(stats: Stats): string | undefined {
  if (stats.isFile()) return undefined;
  if (stats.isFIFO()) return "it is a fifo";
  if (stats.isSocket()) return "it is a socket";
  return stats.isDirectory() ? "it is a directory" : "it is a device";
}

/** As the step has it, seen from the working directory or from the root of the file system. */
function defaultName(search: ArtifactSearch, root: string): string {
  const relative = !isAbsolute(search.path) && !search.path.startsWith("~") && !normalize(search.path).startsWith("..");
  return cleaned(relative ? search.path : root);
}

function cleaned(path: string): string {
  return normalize(`/${path}`).split("/").filter(Boolean).join("/");
}

function real(path: string): string | undefined {
  try {
    return realpathSync(path);
  } catch {
    return undefined;
  }
}
