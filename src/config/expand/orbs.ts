import { limits } from "../parse/limits.ts";
import { get, isText, type MapNode, type Node } from "../parse/node.ts";
import { checkOrb } from "../schema/config.ts";
import { headOf } from "../schema/shape.ts";
import type { FetchedOrbs } from "./orb-fetch.ts";
import { orbReference } from "./orb-reference.ts";
import { type Here, type MissingOrb, type Namespace, namespaceOf, report } from "./pass.ts";
import { resolve } from "./template/resolve.ts";

export type Imported = Map<string, Namespace | MissingOrb>;

interface Linking {
  here: Here;
  fetched: FetchedOrbs;
  /** References on the way here, against circles. */
  path: readonly string[];
  done: Map<string, Namespace | MissingOrb>;
}

/** The namespaces that an `orbs:` map imports; those of fetched orbs are shared. */
export function linkOrbs(node: Node | undefined, here: Here, fetched: FetchedOrbs): Imported {
  return link(node, { here, fetched, path: [], done: new Map() });
}

function link(node: Node | undefined, linking: Linking): Imported {
  if (node?.kind !== "map") return new Map();
  return new Map([...node.entries].map(([name, { value }]) => [name, imported(name, value, linking)]));
}

const told: MissingOrb = { kind: "missing" };

function imported(name: string, node: Node, linking: Linking): Namespace | MissingOrb {
  if (node.kind === "map") return inline(name, node, linking);
  const { here, fetched, path, done } = linking;
  const text = resolve(node, here);
  if (text.kind === "broken") return told;
  if (!isText(text) || !orbReference(text.value)) return refuse(text, here);
  const known = done.get(text.value);
  if (known) return known;
  if (path.includes(text.value)) {
    const message = `The orb ${text.value} imports itself: ${[...path, text.value].join(" → ")}`;
    report(here, { code: "orb-cycle", at: node, message, hint: "Take the import out of one of them." });
    return told;
  }
  const root = fetched.orbs.get(text.value) ?? told;
  const orb = root.kind === "missing" ? root : namespace(root, { ...linking, path: [...path, text.value] });
  done.set(text.value, orb);
  return orb;
}

function namespace(root: Node, linking: Linking): Namespace {
  const home: Here = { pass: linking.here.pass, scope: { namespace: namespaceOf(root, "orb", new Map()) } };
  return namespaceOf(root, "orb", link(get(root, "orbs"), { ...linking, here: home }));
}

/** An orb that is written out. One without anything in it stands for an orb that a tool puts there later. */
function inline(name: string, node: MapNode, linking: Linking): Namespace | MissingOrb {
  const { here, path } = linking;
  if (path.length > limits.calls) {
    report(here, { code: "too-deep", at: node, message: `Orbs nest at most ${limits.calls} deep.` });
    return told;
  }
  if (!checkOrb(node, here.pass.reporter)) return told;
  const inner = { ...linking, path: [...path, name] };
  if (["commands", "executors", "jobs"].some((key) => node.entries.has(key)))
    return namespaceOf(node, "orb", link(get(node, "orbs"), inner));
  link(get(node, "orbs"), inner);
  const hint = `Put the packed orb here before the config is run, or import it: \`${name}: namespace/${name}@1.2.3\`.`;
  return {
    kind: "missing",
    finding: { code: "unknown-orb", at: headOf(node), message: `The orb ${name} is empty`, hint },
  };
}

function refuse(node: Node, here: Here): MissingOrb {
  const message = isText(node) ? `"${node.value}" is no orb reference` : "An orb is a reference or a map";
  const hint =
    "`namespace/name@1.2.3`, `@1.2`, `@1`, `@volatile` or `@dev:label`, an https:// address, or an orb written out.";
  report(here, { code: "bad-orb-reference", at: node, message, hint });
  return told;
}
