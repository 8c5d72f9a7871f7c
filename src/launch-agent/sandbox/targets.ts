import { isIPv6 } from "node:net";
import { type Ipv4Range, parseIpv4 } from "../../lib/ipv4.ts";
import type { Network, NetworkRule } from "../../protocol/task.ts";
import type { Problem } from "../plan/problem.ts";

/** What the `to` of a rule is. */
export type Target = { kind: "ipv4"; range: Ipv4Range } | { kind: "ipv6" } | { kind: "name"; name: string };

const hostName = /^(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]{0,62})(\.[a-z0-9_]([a-z0-9_-]{0,62}))*\.?$/i;

export function targetOf({ to }: Pick<NetworkRule, "to">): Target | Problem {
  const range = parseIpv4(to);
  if (range) return { kind: "ipv4", range };
  const [address = "", prefix = "128", ...rest] = to.split("/");
  if (rest.length === 0 && isIPv6(address) && /^\d{1,3}$/.test(prefix) && Number(prefix) <= 128)
    return { kind: "ipv6" };
  // What ends in a number is a mistyped address: no top-level domain does.
  if (hostName.test(to) && !/(^|\.)\d+\.?$/.test(to))
    return { kind: "name", name: to.toLowerCase().replace(/\.$/, "") };
  const shown = JSON.stringify(to.slice(0, 100));
  return {
    problem: `network rule: ${shown} is no address, no network and no host name. Use 192.0.2.1, 10.0.0.0/8 or registry.example.com; a name stands for itself alone, without "*"`,
  };
}

/** Host names that have to be resolved before these rules can be set. */
export function namesIn({ allow = [], deny }: Network): string[] {
  const names = [...allow, ...deny].flatMap((rule) => {
    const target = targetOf(rule);
    return "kind" in target && target.kind === "name" ? [target.name] : [];
  });
  return [...new Set(names)];
}
