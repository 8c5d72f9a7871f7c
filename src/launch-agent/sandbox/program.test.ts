import { spawnSync } from "node:child_process";
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { busybox } from "../plan/deadline.ts";
import { endOf, likenessOf, sandboxCommand } from "./program.ts";

type Files = Readonly<Record<string, string>>;

/** What a sandbox has, by the names of its files without their directories. */
const clean = {
  hosts: "127.0.0.1\tlocalhost\n198.19.0.2\t5f0c1e8d2a11\n",
  "resolv.conf": "nameserver 127.0.0.11\noptions ndots:0\n",
  hostname: "5f0c1e8d2a11\n",
  tcp: `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0B00007F:8C1B 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1729312 1 00000000edda8691
`,
  unix: "Num       RefCount Protocol Flags    Type St Inode Path\n",
};

let directory: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "cofferdam-look-"));
});

afterEach(async () => await rm(directory, { recursive: true, force: true }));

/** How a sandbox with these files looks when it is asked with this word. */
async function looking(changes: Files = {}, word = "8d1f"): Promise<string> {
  for (const [name, content] of Object.entries({ ...clean, ...changes }))
    await writeFile(join(directory, name), content, "latin1");
  const here = `cat() { command cat "${directory}/\${1##*/}"; }; stat() { command stat "$1" "$2" "${directory}/\${3##*/}"; }`;
  const script = `${here}; ${sandboxCommand(1000).at(-1)?.replaceAll(`${busybox} `, "")}`;
  const { stdout } = spawnSync("sh", ["-c", script], { input: `${word}\n`, encoding: "latin1" });
  expect(stdout.endsWith(endOf(word))).toBe(true);
  return likenessOf(stdout.slice(0, -endOf(word).length), word);
}

test("a sandbox looks the same whatever the kernel counts, and whatever it is asked with", async () => {
  const later = clean.tcp.replace("00000000edda8691", "00000000aaaaaaaa").replace("00:00000000", "02:00000A11");
  const windingUp = `${clean.tcp}   1: 020013C6:D431 0A0013C6:01BB 06 00000000:00000000 03:000016F3 00000000     0        0 0 3 00000000cfd8a5c0\n`;

  expect(await looking({ tcp: later })).toBe(await looking());
  expect(await looking({ tcp: windingUp })).toBe(await looking());
  expect(await looking({}, "77aa")).toBe(await looking());
});

test.each([
  ["a host's name", { hosts: `${clean.hosts}203.0.113.1 evil\n` }],
  ["a port that somebody listens at", { tcp: clean.tcp.replace("8C1B", "1F90") }],
  [
    "a port that is still taken",
    {
      tcp: `${clean.tcp}   1: 0100007F:1F90 0100007F:D431 06 00000000:00000000 03:000016F3 00000000     0        0 0 3 00000000cfd8a5c0\n`,
    },
  ],
  ["a named socket", { unix: `${clean.unix}0000000000000000: 00000002 00000000 00010000 0001 01 12345 @x\n` }],
  ["a file that ends before its end of a line", { hostname: clean.hostname.trimEnd() }],
  ["a byte that is none of a text", { hosts: `${clean.hosts}\0` }],
])("a sandbox does not look the same with %s", async (_what, changes) => {
  expect(await looking(changes)).not.toBe(await looking());
});

/** A line of connections that does not count, and takes what follows it into itself. */
const dropped = "# x:FFFF 0 0 0 0 0 0 0 0 ";

test.each([
  ["=== look at /etc/", "=== look at /proc/net/"],
  ["=== 8d1e /etc/", "=== 8d1e /proc/net/"],
])("files that play the ones after them, under headers like «%s», make a difference", async (shared, kernel) => {
  const hosts = [
    `${clean.hosts}${shared}resolv.conf\n${clean["resolv.conf"]}${shared}hostname\n${clean.hostname}${kernel}tcp`,
    "203.0.113.9 x:FFFF 0 0 0 0 0 0 0 0 registry.npmjs.org",
    dropped,
  ].join("\n");
  const resolver = `nameserver 0x7f00000b 0 0 0 0 0 0 0 0\n${dropped}`;

  const forged = await looking({ hosts, "resolv.conf": resolver, hostname: dropped });

  expect(forged).not.toBe(await looking());
});

test("a file that only some may read any more makes a difference", async () => {
  const before = await looking();
  await chmod(join(directory, "hosts"), 0o604);

  expect(await looking()).not.toBe(before);
});
