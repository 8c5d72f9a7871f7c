import { expect, test } from "vitest";
import { Network } from "../../protocol/task.ts";
import { isProblem } from "../plan/problem.ts";
import { hostNetwork } from "./host.ts";
import { isInForce, seenIn } from "./read-back.ts";
import { type Rules, rulesOf } from "./rules.ts";

const host = { own: ["192.0.2.10", "172.17.0.1"], routes: [], resolvers: ["192.0.2.10", "169.254.169.254"] };
const sandboxSubnets = ["198.19.0.0/22"];
const addresses = new Map([["registry.example.com", ["198.51.100.8", "198.51.100.7"]]]);

function rules(network: Partial<Network>, changes: Partial<Parameters<typeof rulesOf>[0]> = {}): Rules {
  const made = rulesOf({ network: Network.parse(network), host, sandboxSubnets, addresses, ...changes });
  if (isProblem(made)) throw new Error(made.problem);
  return made;
}

/** The rules of the chain that everything passes that leaves, without their numbers. */
function out({ script }: Rules): string[] {
  const from = script.indexOf("chain out {");
  return script.slice(from + 2, script.indexOf("}", from)).map((line) => line.replace(/ comment "\d+"$/, ""));
}

test("everything may leave but to other tasks, the host, metadata and IPv6, and name servers are asked", () => {
  expect(out(rules({}))).toEqual([
    'oifname "lo" accept',
    "meta nfproto != ipv4 goto refuse",
    "ip daddr { 169.254.169.254, 192.0.2.10 } meta l4proto { tcp, udp } th dport 53 accept",
    "ip daddr { 100.100.100.200, 168.63.129.16, 169.254.0.0-169.254.255.255, 172.17.0.1, 192.0.0.192, 192.0.2.10, " +
      "198.19.0.0-198.19.3.255, 224.0.0.0-239.255.255.255, 255.255.255.255 } goto refuse",
    "ct state established,related accept",
    "accept",
  ]);
});

test("what is denied comes before what is allowed, and what is never allowed before both", () => {
  const lines = out(
    rules({
      allow: [
        { to: "registry.example.com", ports: ["443", "8000-8100"], protocol: "tcp" },
        { to: "0.0.0.0/0", protocol: "tcp" },
      ],
      deny: [{ to: "10.1.2.3/8", ports: ["53"], protocol: "udp" }],
    }),
  );

  expect(lines.slice(4)).toEqual([
    "ip daddr { 10.0.0.0-10.255.255.255 } udp dport { 53 } goto unlisted",
    "ct state established,related accept",
    "ip daddr { 198.51.100.7-198.51.100.8 } tcp dport { 443, 8000-8100 } accept",
    "ip daddr { 0.0.0.0-255.255.255.255 } accept",
    "goto unlisted",
  ]);
});

test("what is let through in audit is noted, and what never leaves is refused all the same", () => {
  const { script } = rules({ audit: true, allow: [] });

  expect(script.join("\n")).toMatch(/chain unlisted \{\nmeta l4proto .* update @unlisted .*\naccept comment/);
  expect(script.join("\n")).toMatch(/169\.254\.0\.0-169\.254\.255\.255.* goto refuse/);
  expect(rules({ allow: [] }).script.join("\n")).toMatch(/chain unlisted \{\ngoto refuse comment/);
});

test("nothing is allowed by a name that nobody knows, nor by an IPv6 network", () => {
  const made = rules({
    allow: [
      { to: "nowhere.example.com", protocol: "tcp" },
      { to: "fd00::/8", protocol: "tcp" },
    ],
  });

  expect(out(made).at(-1)).toBe("goto unlisted");
  expect(out(made)).toHaveLength(6);
  expect(made.words.slice(1)).toEqual([
    "Network: allow nowhere.example.com (no address is known)",
    "Network: allow fd00::/8 (no IPv6 leaves anyway)",
  ]);
});

test.each(["*.example.com", "10.0.0.0/33", "10.0.0.256", "fd00::/129", "a b", "http://example.com", 'x" accept'])(
  "%j is no target of a rule",
  (to) => {
    const network = Network.parse({ allow: [{ to }] });

    expect(rulesOf({ network, host, sandboxSubnets, addresses })).toMatchObject({
      problem: expect.stringContaining("is no address, no network and no host name"),
    });
  },
);

test.each([["0"], ["65536"], ["9-8"], []])("ports %j are none", (...ports) => {
  const network = Network.parse({ deny: [{ to: "10.0.0.1", ports }] });

  expect(rulesOf({ network, host, sandboxSubnets, addresses })).toMatchObject({
    problem: expect.stringContaining("ports"),
  });
});

test("two sets of rules have one hash only where they let the same through", () => {
  const hashes = [
    rules({}),
    rules({ audit: true }),
    rules({ deny: [{ to: "10.0.0.1", protocol: "tcp" }] }),
    rules({}, { host: { ...host, own: ["192.0.2.11"] } }),
    rules({}, { sandboxSubnets: ["198.19.4.0/22"] }),
  ].map(({ hash }) => hash);

  expect(new Set(hashes).size).toBe(hashes.length);
  // The gateway is one of the host's addresses as soon as the network is there.
  expect(rules({}, { host: { ...host, own: [...host.own, "198.19.0.1"] } }).hash).toBe(hashes[0]);
});

test("rules are in force only where none is missing, and the chains drop what they do not know", () => {
  const made = rules({});
  const listing = (comments: string[], policy = "drop") =>
    JSON.stringify({
      nftables: [
        ...["output", "input"].map((hook) => ({ chain: { name: hook, hook, policy } })),
        ...comments.map((comment) => ({ rule: { comment } })),
      ],
    });
  const all = Array.from({ length: made.count }, (_, at) => String(at + 1));

  expect(isInForce(listing(all), made)).toBe(true);
  expect(isInForce(listing(all, "accept"), made)).toBe(false);
  expect(isInForce(listing(all.slice(1)), made)).toBe(false);
  expect(isInForce(listing(all.toReversed()), made)).toBe(false);
  expect(isInForce("", made)).toBe(false);
  expect(isInForce('{"nftables":[]}', made)).toBe(false);
});

test("what was refused, and what was let through, is read from the sets", () => {
  const elem = [
    { concat: ["192.0.2.1", "tcp", 443] },
    { elem: { val: { concat: ["192.0.2.1", 17, 53] }, expires: 1 } },
    7,
  ];
  const listing = JSON.stringify({ nftables: [{ set: { name: "refused", elem } }, { set: { name: "unlisted" } }] });

  expect(seenIn(listing)).toEqual({ refused: ["192.0.2.1 tcp 443", "192.0.2.1 udp 53"], unlisted: [] });
});

test("the host's addresses, ways and name servers are read, loopback aside", () => {
  const said = [
    "local 10.213.2.2 dev eth0 scope host  src 10.213.2.2",
    "broadcast 10.213.2.3 dev eth0 scope link  src 10.213.2.2",
    "local 127.0.0.0/8 dev lo scope host  src 127.0.0.1",
    "local 203.0.113.0/24 dev eth0 scope host",
    "default via 10.213.2.1 dev eth0",
    "10.213.2.0/30 dev eth0 scope link  src 10.213.2.2",
    "nameserver 127.0.0.53",
    "nameserver 10.0.0.2",
    "nameserver fd00::53",
  ].join("\n");

  expect(hostNetwork(said)).toEqual({
    own: ["10.213.2.2", "203.0.113.0/24"],
    routes: ["10.213.2.0/30"],
    resolvers: ["10.0.0.2"],
  });
  expect(hostNetwork("cat: no such file")).toBeUndefined();
});
