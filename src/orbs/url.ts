import type { OrbAnswer, OrbSource } from "../config/index.ts";
import type { Clock } from "../lib/clock.ts";
import { type AskHttp, askHttp, failureOf } from "./http.ts";

export interface UrlOrbOptions {
  /** Beginnings of addresses that may be read: `https://…/`, ending in a slash. */
  allowed: readonly string[];
  clock: Pick<Clock, "monotonic">;
  ask?: AskHttp;
}

/** How long an orb that was read is taken as it is, as CircleCI does. */
const lifetimeMs = 5 * 60_000;

/** Orbs that are named by their address. What no allowed beginning covers is never asked for. */
export function urlOrbs({ allowed, clock, ask = askHttp }: UrlOrbOptions): OrbSource {
  const prefixes = allowed.filter((prefix) => prefix.startsWith("https://") && prefix.endsWith("/"));
  const cache = new Map<string, { answer: OrbAnswer; until: number }>();
  return {
    async find(reference, signal) {
      if (reference.kind !== "url") return { found: false, reason: "no-such-orb" };
      // The parsed form, in which no `..` and no second spelling of a host is left.
      const url = URL.canParse(reference.url) ? new URL(reference.url).href : reference.url;
      if (!prefixes.some((prefix) => url.startsWith(prefix))) return forbidden(prefixes);
      const cached = cache.get(url);
      if (cached && clock.monotonic() < cached.until) return cached.answer;
      const answer = await read({ url, ask, signal });
      if (answer.found) cache.set(url, { answer, until: clock.monotonic() + lifetimeMs });
      return answer;
    },
  };
}

async function read(options: { url: string; ask: AskHttp; signal: AbortSignal | undefined }): Promise<OrbAnswer> {
  const { url, ask, signal } = options;
  try {
    const { status, text } = await ask({ url, signal });
    if (status === 200) return { found: true, resolved: url, text };
    const reason = status === 404 || status === 410 ? "no-such-orb" : "unavailable";
    return { found: false, reason, detail: `${url} answered ${status}` };
  } catch (error) {
    return { found: false, reason: "unavailable", detail: `${url} could not be read: ${failureOf(error)}` };
  }
}

function forbidden(prefixes: readonly string[]): OrbAnswer {
  const detail =
    prefixes.length === 0
      ? "no address is allowed for orbs here"
      : `allowed are addresses under ${prefixes.join(", ")}`;
  return { found: false, reason: "forbidden", detail };
}
