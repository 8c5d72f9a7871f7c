import { suggestion } from "../diagnostics/nearest.ts";
import type { Place } from "../diagnostics/source.ts";
import { Source } from "../diagnostics/source.ts";
import type { OrbAnswer, OrbSource } from "../orb-source.ts";
import { limits } from "../parse/limits.ts";
import { get, isNull, isText, type MapNode, type Node } from "../parse/node.ts";
import { parse } from "../parse/parse.ts";
import { checkOrb } from "../schema/config.ts";
import { headOf } from "../schema/shape.ts";
import { orbReference } from "./orb-reference.ts";
import { type Here, type Namespace, report } from "./pass.ts";
import { resolve } from "./template/resolve.ts";

export interface ResolvedOrb {
  /** As the config has it: `circleci/node@5`. */
  reference: string;
  /** What that is now: `circleci/node@5.2.0`. */
  resolved: string;
}

/** Fetches all orbs of a config and of its orbs, each once. What fails is told and stands as `missing`. */
export class OrbLoader {
  readonly resolved: ResolvedOrb[] = [];
  /** Texts of the orbs that came, for the lines of diagnostics in them. */
  readonly sources: Source[] = [];
  readonly #source: OrbSource | undefined;
  readonly #signal: AbortSignal | undefined;
  readonly #loaded = new Map<string, Promise<Namespace | "missing">>();
  #count = 0;

  constructor(source: OrbSource | undefined, signal: AbortSignal | undefined) {
    this.#source = source;
    this.#signal = signal;
  }

  /** The `orbs:` of one config or orb. `path` are the references on the way here. */
  async import(
    node: Node | undefined,
    here: Here,
    path: readonly string[],
  ): Promise<Map<string, Namespace | "missing">> {
    if (node?.kind !== "map") return new Map();
    const entries = [...node.entries];
    const loaded = await Promise.all(entries.map(([, { value }]) => this.#load(value, here, path)));
    return new Map(entries.map(([name], index) => [name, loaded[index] ?? "missing"]));
  }

  async #load(node: Node, here: Here, path: readonly string[]): Promise<Namespace | "missing"> {
    if (node.kind === "map") return this.#inline(node, here, path);
    const resolved = resolve(node, here);
    if (resolved.kind === "broken") return "missing";
    if (!isText(resolved))
      return this.#refuse(here, node, isNull(resolved) ? "The orb is empty" : "An orb is a reference or a map");
    return this.#fetch(resolved.value, here, { at: node, path });
  }

  async #inline(node: MapNode, here: Here, path: readonly string[]): Promise<Namespace | "missing"> {
    if (++this.#count > limits.orbs || path.length > limits.calls) return this.#tooMany(here, node);
    if (!checkOrb(node, here.pass.reporter)) return "missing";
    const orbs = await this.import(get(node, "orbs"), here, [...path, "inline"]);
    const isEmpty = !["commands", "executors", "jobs"].some((key) => node.entries.has(key));
    return { ...namespaceOf(node, "orb", orbs), emptyAt: isEmpty ? headOf(node) : undefined };
  }

  #fetch(
    text: string,
    here: Here,
    { at, path }: { at: Place; path: readonly string[] },
  ): Promise<Namespace | "missing"> | "missing" {
    const reference = orbReference(text);
    if (!reference) return this.#refuse(here, at, `"${text}" is no orb reference`);
    if (path.includes(text)) {
      const message = `The orb ${text} imports itself: ${[...path, text].join(" → ")}`;
      report(here, { code: "orb-cycle", at, message });
      return "missing";
    }
    const known = this.#loaded.get(text);
    if (known) return known;
    if (++this.#count > limits.orbs) return this.#tooMany(here, at);
    const asked = this.#source
      ? this.#source.find(reference, this.#signal).catch(unavailable)
      : Promise.resolve<OrbAnswer>({ found: false, reason: "no-such-orb" });
    const loaded = asked.then((answer) => this.#answer(answer, here, { text, at, path }));
    this.#loaded.set(text, loaded);
    return loaded;
  }

  async #answer(
    answer: OrbAnswer,
    here: Here,
    { text, at, path }: { text: string; at: Place; path: readonly string[] },
  ): Promise<Namespace | "missing"> {
    if (!answer.found) {
      reportMissing(answer, text, here, at);
      return "missing";
    }
    this.resolved.push({ reference: text, resolved: answer.resolved });
    const source = new Source(answer.resolved, answer.text);
    this.sources.push(source);
    const { reporter } = here.pass;
    const root = parse(source, reporter);
    if (!root || !checkOrb(root, reporter)) {
      report(here, { code: "bad-orb", at, message: `The orb ${answer.resolved} is not valid; see above` });
      return "missing";
    }
    const home: Here = { pass: here.pass, scope: { namespace: namespaceOf(root, "orb", new Map()) } };
    const orbs = await this.import(get(root, "orbs"), home, [...path, text]);
    return namespaceOf(root, "orb", orbs);
  }

  #refuse(here: Here, at: Place, message: string): "missing" {
    const hint =
      "`namespace/name@1.2.3`, `@1.2`, `@1`, `@volatile` or `@dev:label`, an https:// address, or an orb written out.";
    report(here, { code: "bad-orb-reference", at, message, hint });
    return "missing";
  }

  #tooMany(here: Here, at: Place): "missing" {
    report(here, { code: "too-big", at, message: `A config imports at most ${limits.orbs} orbs.` });
    return "missing";
  }
}

function unavailable(error: unknown): OrbAnswer {
  return { found: false, reason: "unavailable", detail: error instanceof Error ? error.message : String(error) };
}

function reportMissing(answer: Extract<OrbAnswer, { found: false }>, text: string, here: Here, at: Place): void {
  const detail = answer.detail === undefined ? "" : ` (${answer.detail})`;
  const close = answer.known && suggestion(text.slice(text.indexOf("@") + 1), answer.known, "There are");
  switch (answer.reason) {
    case "no-such-orb":
      return report(here, {
        code: "unknown-orb",
        at,
        message: `Cannot find the orb ${text}${detail}`,
        hint:
          close ??
          "Put the packed orb into an orb folder as NAMESPACE/NAME/VERSION.yml, and name the folder with --orb-dir.",
      });
    case "no-such-version":
      return report(here, {
        code: "unknown-orb-version",
        at,
        message: `Cannot find this version of the orb: ${text}${detail}`,
        hint: close,
      });
    case "unavailable":
      return report(here, {
        code: "orb-unavailable",
        at,
        message: `The orb ${text} could not be fetched${detail}`,
        hint: "Try again, or put the packed orb into an orb folder.",
      });
    case "forbidden":
      return report(here, {
        code: "orb-forbidden",
        at,
        message: `The orb ${text} is not allowed here${detail}`,
        hint: "An operator decides which orbs are allowed.",
      });
    default:
      answer.reason satisfies never;
  }
}

export function namespaceOf(root: Node, kind: Namespace["kind"], orbs: Namespace["orbs"]): Namespace {
  return {
    kind,
    orbs,
    commands: definitions(root, "commands"),
    executors: definitions(root, "executors"),
    jobs: definitions(root, "jobs"),
    groups: definitions(root, "job-groups"),
  };
}

function definitions(root: Node, key: string): ReadonlyMap<string, Node> {
  const node = get(root, key);
  return new Map(node?.kind === "map" ? [...node.entries].map(([name, { value }]) => [name, value]) : []);
}
