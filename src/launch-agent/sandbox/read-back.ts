import { z } from "zod";
import type { Rules } from "./rules.ts";

/** What nft says of a table, in its JSON. Everything else in it is dropped here. */
const Listing = z.object({
  nftables: z.array(
    z.object({
      chain: z.object({ name: z.string(), hook: z.string().optional(), policy: z.string().optional() }).optional(),
      rule: z.object({ comment: z.string().optional() }).optional(),
      set: z.object({ name: z.string(), elem: z.array(z.unknown()).optional() }).optional(),
    }),
  ),
});
type Listing = z.infer<typeof Listing>;

/** Whether these very rules are in force: the two chains drop by default, and no rule is missing or out of order. */
export function isInForce(listing: string, rules: Pick<Rules, "count">): boolean {
  const objects = parsed(listing);
  const dropsAt = (hook: string) => objects.some(({ chain }) => chain?.hook === hook && chain.policy === "drop");
  const comments = objects.flatMap(({ rule }) => (rule ? [Number(rule.comment)] : []));
  const isWhole = comments.length === rules.count && comments.every((comment, at) => comment === at + 1);
  return dropsAt("output") && dropsAt("input") && isWhole;
}

export interface Seen {
  /** `192.0.2.1 tcp 443`, sorted. */
  refused: string[];
  /** The same, of what was let through because the rules are in audit. */
  unlisted: string[];
}

export function seenIn(listing: string): Seen {
  const objects = parsed(listing);
  const of = (name: string) => {
    const elements = objects.flatMap(({ set }) => (set?.name === name ? (set.elem ?? []) : []));
    return elements.flatMap(destinationOf).toSorted();
  };
  return { refused: of("refused"), unlisted: of("unlisted") };
}

function parsed(listing: string): Listing["nftables"] {
  try {
    const result = Listing.safeParse(JSON.parse(listing));
    return result.success ? result.data.nftables : [];
  } catch {
    return [];
  }
}

const Concatenation = z.object({ concat: z.tuple([z.string(), z.union([z.string(), z.number()]), z.number()]) });
const Element = z.union([Concatenation, z.object({ elem: z.object({ val: Concatenation }) })]);
const protocolNames: Record<string, string> = { "6": "tcp", "17": "udp" };

function destinationOf(element: unknown): string[] {
  const result = Element.safeParse(element);
  if (!result.success) return [];
  const { concat } = "concat" in result.data ? result.data : result.data.elem.val;
  const [address, protocol, port] = concat;
  return [`${address} ${protocolNames[String(protocol)] ?? protocol} ${port}`];
}
