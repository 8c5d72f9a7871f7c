import { join, resolve } from "node:path";
import { firstOf, type OrbSource } from "../config/index.ts";
import { systemClock } from "../lib/clock.ts";
import { cachedOrbs, orbFolder, orbRegistry, urlOrbs } from "../orbs/index.ts";
import { type OrbOptions, publicRegistry } from "./config/options.ts";
import { CommandError, exitCode, type Io } from "./io.ts";

/** Folders first, then the registry, whose answers are kept under the user's cache directory. */
export function orbSource(io: Io, { orbDir = [], orbRegistry: url, orbUrl = [] }: OrbOptions): OrbSource {
  const folders = orbDir.map((directory) => orbFolder(resolve(io.cwd, directory)));
  const addresses = urlOrbs({ allowed: orbUrl, clock: systemClock });
  return byKind(firstOf([...folders, ...registry(io, url)]), addresses);
}

function registry(io: Io, option: string | undefined): OrbSource[] {
  const url = option ?? io.env["COFFERDAM_ORB_REGISTRY"] ?? publicRegistry;
  if (url === "none") return [];
  if (!URL.canParse(url)) throw new CommandError(`the orb registry "${url}" is no URL`, { exitCode: exitCode.usage });
  const token = io.env["CIRCLECI_CLI_TOKEN"] ?? io.env["CIRCLE_TOKEN"];
  return [cachedOrbs(orbRegistry({ url, token }), cacheDirectory(io))];
}

function byKind(registryOrbs: OrbSource, addresses: OrbSource): OrbSource {
  return { find: (reference, signal) => (reference.kind === "url" ? addresses : registryOrbs).find(reference, signal) };
}

function cacheDirectory(io: Io): string {
  const base = io.env["XDG_CACHE_HOME"] ?? join(io.env["HOME"] ?? io.cwd, ".cache");
  return join(base, "cofferdam", "orbs");
}
