import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import type { OrbAnswer, OrbSource, RegistryOrbReference } from "../config/index.ts";
import { newestFirst, resolveVersion } from "./versions.ts";

/**
 * Packed orbs in a folder: `NAMESPACE/NAME/VERSION.yml`. A development version is `dev:LABEL.yml`.
 * The folder is read anew at each question, so that what is added while a server runs is found.
 */
export function orbFolder(directory: string): OrbSource {
  return {
    async find(reference) {
      if (reference.kind === "url")
        return { found: false, reason: "no-such-orb", detail: `${directory} has no URL orbs` };
      return await findIn(directory, reference);
    },
  };
}

/** Every orb of the folder, by full name, with its versions, newest first. A folder that is not there has none. */
export async function listOrbs(directory: string): Promise<{ name: string; versions: string[] }[]> {
  const orbs: { name: string; versions: string[] }[] = [];
  for (const namespace of await namesIn(directory)) {
    for (const name of await namesIn(join(directory, namespace))) {
      const versions = await versionsIn(join(directory, namespace, name));
      if (versions.length > 0) orbs.push({ name: `${namespace}/${name}`, versions });
    }
  }
  return orbs;
}

async function findIn(directory: string, { namespace, name, version }: RegistryOrbReference): Promise<OrbAnswer> {
  const orb = `${namespace}/${name}`;
  // Orb references come from configs, which are other people's text: no reference may lead out of the folder.
  if (![namespace, name].every((part) => plainName.test(part))) return { found: false, reason: "no-such-orb" };
  const versions = await versionsIn(join(directory, namespace, name));
  if (versions.length === 0) {
    const known = (await listOrbs(directory)).map((one) => one.name);
    return { found: false, reason: "no-such-orb", detail: `${directory} has no orb ${orb}`, known };
  }
  const resolved = resolveVersion(version, versions);
  if (resolved === undefined) {
    return {
      found: false,
      reason: "no-such-version",
      detail: `${directory} has ${orb} in other versions`,
      known: versions,
    };
  }
  const text = await readFile(join(directory, namespace, name, `${resolved}${extension}`), "utf8");
  return { found: true, resolved: `${orb}@${resolved}`, text };
}

const extension = ".yml";
const plainName = /^\w[\w.-]*$/;

async function versionsIn(directory: string): Promise<string[]> {
  const files = await namesIn(directory);
  return files
    .filter((file) => file.endsWith(extension))
    .map((file) => file.slice(0, -extension.length))
    .sort(newestFirst);
}

async function namesIn(directory: string): Promise<string[]> {
  try {
    return (await readdir(directory)).sort();
  } catch (error) {
    if (isAbsent(error)) return [];
    throw error;
  }
}

/** Not there, or a file where a folder was looked for: both mean that there is nothing in it. */
function isAbsent(error: unknown): boolean {
  return error instanceof Error && "code" in error && (error.code === "ENOENT" || error.code === "ENOTDIR");
}
