import { join, resolve } from "node:path";
import { firstOf, type OrbSource } from "../config/index.ts";
import { systemClock } from "../lib/clock.ts";
import { cachedOrbs, orbFolder, orbRegistry, urlOrbs } from "../orbs/index.ts";
import { type OrbOptions, publicRegistry } from "./config/options.ts";
import { checkedUrl, tokenFor } from "./host/options.ts";
import type { Io } from "./io.ts";

/** Folders first, then the registries in order, whose answers are kept under the user's cache directory. */
export function orbSource(io: Io, { orbDir = [], orbRegistry: urls, orbUrl = [] }: OrbOptions): OrbSource {
  const folders = orbDir.map((directory) => orbFolder(resolve(io.cwd, directory)));
  const addresses = urlOrbs({ allowed: orbUrl, clock: systemClock });
  return byKind(firstOf([...folders, ...registries(io, urls)]), addresses);
}

function registries(io: Io, option: string[] | undefined): OrbSource[] {
  const named = option ??
    io.env["COFFERDAM_ORB_REGISTRY"]?.split(/\s+/).filter((url) => url !== "") ?? [publicRegistry];
  const urls = named.filter((url) => url !== "none").map((url) => checkedUrl(url, "the orb registry"));
  const [first = publicRegistry] = urls;
  return urls.map((url) => {
    const token = tokenFor(io, url, first);
    return cachedOrbs(orbRegistry({ url, token }), cacheDirectory(io, url));
  });
}

function byKind(registryOrbs: OrbSource, addresses: OrbSource): OrbSource {
  return { find: (reference, signal) => (reference.kind === "url" ? addresses : registryOrbs).find(reference, signal) };
}

/** One for each registry: the same name and version may stand for something else in another one. */
function cacheDirectory(io: Io, url: string): string {
  const base = io.env["XDG_CACHE_HOME"] ?? join(io.env["HOME"] ?? io.cwd, ".cache");
  return join(base, "cofferdam", "orbs", new URL(url).host.replaceAll(/[^\w.-]/g, "_"));
}
