import type { Node } from "../parse/node.ts";

/** Truth of logic statements and template sections: false, null, 0, NaN, empty texts and empty lists are false. */
export function isTruthy(node: Node): boolean {
  switch (node.kind) {
    case "scalar":
      return Boolean(node.value);
    case "list":
      return node.items.length > 0;
    case "map":
      return node.entries.size > 0;
    case "closure":
      return isTruthy(node.node);
    case "broken":
      return false;
    default:
      return node satisfies never;
  }
}
