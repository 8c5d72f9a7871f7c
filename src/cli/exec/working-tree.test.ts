import { execFileSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { createZstdDecompress } from "node:zlib";
import { extract } from "tar-stream";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { openWorkingTree } from "./working-tree.ts";

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "cofferdam-tree-"));
});
afterEach(() => {
  rmSync(directory, { recursive: true });
});

describe("working tree", () => {
  test("of a repository has uncommitted changes and .git in it, and ignored files not", async () => {
    const git = (...args: string[]) =>
      execFileSync("git", ["-C", directory, "-c", "user.name=t", "-c", "user.email=t@example.org", ...args], {
        stdio: "pipe",
      });
    git("init", "-q");
    writeFileSync(join(directory, "committed.txt"), "old");
    writeFileSync(join(directory, ".gitignore"), "ignored/\n");
    git("add", ".");
    git("commit", "-qm", "first");
    writeFileSync(join(directory, "committed.txt"), "changed");
    writeFileSync(join(directory, "new.txt"), "new");
    mkdirSync(join(directory, "ignored"));
    writeFileSync(join(directory, "ignored", "big.bin"), "x");

    const entries = await unpack(directory);

    expect(entries.get("committed.txt")?.text).toBe("changed");
    expect(entries.get("new.txt")?.text).toBe("new");
    expect([...entries.keys()].filter((name) => name.startsWith("ignored"))).toEqual([]);
    expect(entries.has(".git/HEAD")).toBe(true);
  });

  test("without a repository is every file, with modes and symlinks", async () => {
    mkdirSync(join(directory, "a"));
    writeFileSync(join(directory, "a", "run.sh"), "#!/bin/sh\n");
    chmodSync(join(directory, "a", "run.sh"), 0o755);
    writeFileSync(join(directory, "empty"), "");
    symlinkSync("a/run.sh", join(directory, "link"));

    const entries = await unpack(directory);

    expect(entries.get("a/run.sh")).toMatchObject({ mode: 0o755, text: "#!/bin/sh\n" });
    expect(entries.get("empty")?.text).toBe("");
    expect(entries.get("link")).toMatchObject({ type: "symlink", linkname: "a/run.sh" });
  });
});

interface Entry {
  type: string | null | undefined;
  mode: number | undefined;
  linkname: string | null | undefined;
  text: string;
}

async function unpack(from: string): Promise<Map<string, Entry>> {
  const entries = new Map<string, Entry>();
  const tar = extract();
  const reading = (async () => {
    for await (const entry of tar) {
      const chunks: Buffer[] = [];
      for await (const chunk of entry) chunks.push(Buffer.from(chunk as Uint8Array));
      const { name, type, mode, linkname } = entry.header;
      entries.set(name.replace(/\/$/, ""), { type, mode, linkname, text: Buffer.concat(chunks).toString() });
    }
  })();
  await pipeline(openWorkingTree(from, AbortSignal.timeout(20_000)), createZstdDecompress(), tar);
  await reading;
  return entries;
}
