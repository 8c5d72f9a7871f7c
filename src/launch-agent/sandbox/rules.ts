import { createHash } from "node:crypto";
import { type Ipv4Range, merged, parseIpv4, rangeText } from "../../lib/ipv4.ts";
import type { Network, NetworkRule } from "../../protocol/task.ts";
import { isProblem, type Problem } from "../plan/problem.ts";
import type { HostNetwork } from "./host.ts";
import { targetOf } from "./targets.ts";

export interface RulesInput {
  network: Network;
  host: HostNetwork;
  /** Of the network that sandboxes are on: other tasks, and the gateway. */
  sandboxSubnets: readonly string[];
  /** What the names in the rules stand for now. */
  addresses: ReadonlyMap<string, readonly string[]>;
}

export interface Rules {
  /** A script for nft, line by line, that replaces the rules that are there, all or nothing. */
  script: string[];
  /** How many rules it has. Each has a comment: its number, from 1. */
  count: number;
  /** Two networks of one hash let the same through. */
  hash: string;
  /** For people, line by line. */
  words: string[];
  /** Whether the class has any of its own, so that what they refuse has to be told. */
  hasLists: boolean;
}

/** The table that is ours. The engine has tables of its own there, for its name server. */
export const table = "inet cofferdam";

/**
 * Where clouds tell whoever asks what a machine may do: link-local ones (AWS, Azure, GCP, Oracle, OpenStack, DigitalOcean, Hetzner),
 * Alibaba's, Azure's second, Oracle's older one. Then what reaches neighbours: multicast and broadcast.
 */
const never = ["169.254.0.0/16", "100.100.100.200", "168.63.129.16", "192.0.0.192", "224.0.0.0/4", "255.255.255.255"];

/** The rules of a sandbox. Pure. They are in force for whatever leaves its namespace, root's or not, whoever sends it. */
export function rulesOf(input: RulesInput): Rules | Problem {
  const listed = listedRules(input);
  if (isProblem(listed)) return listed;
  const { audit, allow } = input.network;
  const numbered = new Numbered();
  const lines = [
    ...tail(numbered, audit),
    "chain out {",
    "type filter hook output priority 100; policy drop;",
    ...numbered.all([
      'oifname "lo" accept',
      // The network has no IPv6; whatever finds a way to it all the same ends here.
      "meta nfproto != ipv4 goto refuse",
      ...nameServers(input.host),
      `ip daddr { ${elements(neverRanges(input))} } goto refuse`,
      ...listed.deny.map((match) => `${match} goto unlisted`),
      "ct state established,related accept",
      ...listed.allow.map((match) => `${match} accept`),
      allow ? "goto unlisted" : "accept",
    ]),
    "}",
    "chain in {",
    "type filter hook input priority 100; policy drop;",
    ...numbered.all(['iifname "lo" accept', "ct state established,related accept"]),
    "}",
  ];
  const script = [`table ${table}`, `delete table ${table}`, `table ${table} {`, ...lines, "}"];
  const hash = createHash("sha256").update(script.join("\n")).digest("hex").slice(0, 16);
  return { script, count: numbered.count, hash, words: wordsOf(input, listed), hasLists: hasLists(input.network) };
}

/** Whether somebody has to look, at the end, at what was refused or would have been. */
export function hasLists({ allow, deny, audit }: Network): boolean {
  return allow !== undefined || deny.length > 0 || audit;
}

class Numbered {
  count = 0;
  all(rules: readonly string[]): string[] {
    return rules.map((rule) => `${rule} comment "${++this.count}"`);
  }
}

/** What becomes of what may not leave. It is noted, for the task's log, and answered, so that nobody waits for it. */
function tail(numbered: Numbered, audit: boolean): string[] {
  const set = (name: string) => [
    `set ${name} {`,
    "type ipv4_addr . inet_proto . inet_service; flags dynamic; size 4096;",
    "}",
  ];
  const note = (name: string) => `meta l4proto { tcp, udp } update @${name} { ip daddr . meta l4proto . th dport }`;
  return [
    ...set("refused"),
    ...set("unlisted"),
    "chain refuse {",
    ...numbered.all([
      `meta nfproto ipv4 ${note("refused")}`,
      "meta l4proto tcp reject with tcp reset",
      "reject with icmpx type admin-prohibited",
    ]),
    "}",
    "chain unlisted {",
    ...numbered.all(audit ? [note("unlisted"), "accept"] : ["goto refuse"]),
    "}",
  ];
}

/** The engine's name server asks them from inside the namespace, and clouds have theirs at the address of their metadata. */
function nameServers({ resolvers }: HostNetwork): string[] {
  const ranges = rangesOf(resolvers);
  return ranges.length === 0 ? [] : [`ip daddr { ${elements(ranges)} } meta l4proto { tcp, udp } th dport 53 accept`];
}

function neverRanges({ host, sandboxSubnets }: RulesInput): Ipv4Range[] {
  return rangesOf([...never, ...host.own, ...sandboxSubnets]);
}

interface Listed {
  allow: string[];
  deny: string[];
  words: string[];
}

function listedRules(input: RulesInput): Listed | Problem {
  const { allow = [], deny } = input.network;
  const matches = { allow: matchesOf(allow, input), deny: matchesOf(deny, input) };
  if (isProblem(matches.allow)) return matches.allow;
  if (isProblem(matches.deny)) return matches.deny;
  const inWords = (word: string, rules: readonly NetworkRule[]) =>
    rules.map((rule) => `${word} ${ruleInWords(rule, input)}`);
  return { allow: matches.allow, deny: matches.deny, words: [...inWords("deny", deny), ...inWords("allow", allow)] };
}

function matchesOf(rules: readonly NetworkRule[], input: RulesInput): string[] | Problem {
  const matches: string[] = [];
  for (const rule of rules) {
    const ranges = rangesOfRule(rule, input);
    if (isProblem(ranges)) return ranges;
    const ports = portsOf(rule);
    if (isProblem(ports)) return ports;
    if (ranges.length > 0) matches.push(`ip daddr { ${elements(ranges)} }${ports.match}`);
  }
  return matches;
}

/** Empty for what never leaves anyway, and for a name that nobody knows. */
function rangesOfRule(rule: NetworkRule, { addresses }: RulesInput): Ipv4Range[] | Problem {
  const target = targetOf(rule);
  if (isProblem(target)) return target;
  if (target.kind === "ipv4") return [target.range];
  return target.kind === "name" ? rangesOf(addresses.get(target.name) ?? []) : [];
}

function portsOf({ ports, protocol }: NetworkRule): { match: string } | Problem {
  if (!ports) return { match: "" };
  const bad = ports.find((port) => {
    const [from = Number.NaN, to = from] = port.split("-").map(Number);
    return !(from >= 1 && from <= to && to <= 65_535);
  });
  if (bad !== undefined || ports.length === 0)
    return { problem: `network rule: ports ${JSON.stringify(bad ?? [])} are none. Use 443, or 8000-8100` };
  const ranges = merged(
    ports.map((port) => {
      const [first = 0, last = first] = port.split("-").map(Number);
      return { first, last };
    }),
  );
  const text = ranges.map(({ first, last }) => (first === last ? `${first}` : `${first}-${last}`));
  return { match: ` ${protocol} dport { ${text.join(", ")} }` };
}

function rangesOf(texts: readonly string[]): Ipv4Range[] {
  return merged(texts.flatMap((text) => parseIpv4(text) ?? []));
}

function elements(ranges: readonly Ipv4Range[]): string {
  return ranges.map(rangeText).join(", ");
}

function wordsOf(input: RulesInput, { words }: Listed): string[] {
  const { allow, audit } = input.network;
  const rest = allow ? "only what is allowed below, and name servers" : "everywhere else";
  return [
    `Network: out, ${rest}. Never: other tasks, addresses of this host (${input.host.own.length}), link-local and metadata addresses, IPv6`,
    ...words.map((line) => `Network: ${line}`),
    ...(audit ? ["Network: audit, so what is not allowed below is let through, and told when the task has ended"] : []),
  ];
}

function ruleInWords(rule: NetworkRule, { addresses }: RulesInput): string {
  const target = targetOf(rule);
  const ports = rule.ports ? ` ${rule.protocol} ${rule.ports.join(", ")}` : "";
  if (isProblem(target) || target.kind === "ipv4") return `${rule.to}${ports}`;
  if (target.kind === "ipv6") return `${rule.to}${ports} (no IPv6 leaves anyway)`;
  const known = addresses.get(target.name) ?? [];
  return `${rule.to}${ports} (${known.length === 0 ? "no address is known" : known.join(", ")})`;
}
