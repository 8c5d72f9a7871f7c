import { suggestion } from "../../lib/nearest.ts";
import type { Finding } from "../diagnostics/reporter.ts";
import { type Place, Source } from "../diagnostics/source.ts";
import type { OrbAnswer, OrbReference, OrbSource } from "../orb-source.ts";
import { limits } from "../parse/limits.ts";
import { get, isText, type Node } from "../parse/node.ts";
import { parse } from "../parse/parse.ts";
import { checkOrb } from "../schema/config.ts";
import { orbReference } from "./orb-reference.ts";
import { type Here, type MissingOrb, namespaceOf, report } from "./pass.ts";
import { resolve } from "./template/resolve.ts";

export interface ResolvedOrb {
  /** As the config has it: `circleci/node@5`. */
  reference: string;
  /** What that is now: `circleci/node@5.2.0`. */
  resolved: string;
}

export interface FetchedOrbs {
  /** By reference, as written. */
  orbs: Map<string, Node | MissingOrb>;
  resolved: ResolvedOrb[];
  /** Texts of the orbs that came, for the lines of diagnostics in them. */
  sources: Source[];
}

interface Wanted {
  text: string;
  reference: OrbReference;
  at: Place;
  here: Here;
}

/** Fetches all orbs of a config and of its orbs, each once, those of one level at the same time. */
export async function fetchOrbs(
  node: Node | undefined,
  here: Here,
  from: { source?: OrbSource | undefined; signal?: AbortSignal | undefined },
): Promise<FetchedOrbs> {
  const fetched: FetchedOrbs = { orbs: new Map(), resolved: [], sources: [] };
  let wanted = wantedOf(node, here);
  while (wanted.length > 0) {
    const fresh = [...new Map(wanted.map((one) => [one.text, one])).values()].filter(
      ({ text }) => !fetched.orbs.has(text),
    );
    const allowed = withinLimit(fresh, fetched.orbs.size);
    const answers = await Promise.all(allowed.map(({ reference }) => ask(reference, from)));
    wanted = allowed.flatMap((one, index) => keep(one, answers[index], fetched));
  }
  return fetched;
}

/** References of an `orbs:` map, also those of orbs that are written out in it. */
function wantedOf(node: Node | undefined, here: Here): Wanted[] {
  if (node?.kind !== "map") return [];
  return [...node.entries.values()].flatMap(({ value }) => {
    if (value.kind === "map") return wantedOf(get(value, "orbs"), here);
    const text = resolve(value, here);
    const reference = isText(text) ? orbReference(text.value) : undefined;
    return isText(text) && reference ? [{ text: text.value, reference, at: value, here }] : [];
  });
}

function withinLimit(wanted: Wanted[], have: number): Wanted[] {
  const room = Math.max(0, limits.orbs - have);
  const over = wanted[room];
  if (over)
    report(over.here, { code: "too-big", at: over.at, message: `A config imports at most ${limits.orbs} orbs.` });
  return wanted.slice(0, room);
}

async function ask(
  reference: OrbReference,
  from: { source?: OrbSource | undefined; signal?: AbortSignal | undefined },
): Promise<OrbAnswer> {
  if (!from.source) return { found: false, reason: "no-such-orb" };
  try {
    return await from.source.find(reference, from.signal);
  } catch (error) {
    return { found: false, reason: "unavailable", detail: error instanceof Error ? error.message : String(error) };
  }
}

/** Puts an answer with the others, and says what its orb needs in turn. */
function keep({ text, at, here }: Wanted, answer: OrbAnswer | undefined, fetched: FetchedOrbs): Wanted[] {
  if (!answer?.found) {
    fetched.orbs.set(text, { kind: "missing", finding: answer && refusal(answer, text, at) });
    return [];
  }
  fetched.resolved.push({ reference: text, resolved: answer.resolved });
  const source = new Source(answer.resolved, answer.text);
  fetched.sources.push(source);
  const { reporter } = here.pass;
  const root = parse(source, reporter);
  if (!root || !checkOrb(root, reporter)) {
    report(here, {
      code: "bad-orb",
      at,
      message: `The orb ${answer.resolved} is not valid; see what is said about it`,
    });
    fetched.orbs.set(text, { kind: "missing" });
    return [];
  }
  fetched.orbs.set(text, root);
  return wantedOf(get(root, "orbs"), { pass: here.pass, scope: { namespace: namespaceOf(root, "orb", new Map()) } });
}

const folderHint =
  "Put the packed orb into an orb folder as NAMESPACE/NAME/VERSION.yml, and name the folder with --orb-dir.";

function refusal(answer: Extract<OrbAnswer, { found: false }>, text: string, at: Place): Finding {
  const detail = answer.detail === undefined ? "" : ` (${answer.detail})`;
  const close = answer.known && suggestion(text.slice(text.indexOf("@") + 1), answer.known, "There are");
  switch (answer.reason) {
    case "no-such-orb":
      return { code: "unknown-orb", at, message: `Cannot find the orb ${text}${detail}`, hint: close ?? folderHint };
    case "no-such-version":
      return {
        code: "unknown-orb-version",
        at,
        message: `Cannot find this version of the orb: ${text}${detail}`,
        hint: close ?? folderHint,
      };
    case "unavailable":
      return {
        code: "orb-unavailable",
        at,
        message: `The orb ${text} could not be fetched${detail}`,
        hint: `Try again later. ${folderHint}`,
      };
    case "forbidden":
      return {
        code: "orb-forbidden",
        at,
        message: `The orb ${text} is not allowed here${detail}`,
        hint: "An operator decides which orbs are allowed.",
      };
    default:
      return answer.reason satisfies never;
  }
}
