import { execFileSync } from "node:child_process";
import { createWriteStream, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { SourceRequest } from "../control-plane.ts";
import { beginningOf } from "./git.ts";
import { gitSource } from "./git-source.ts";

let root: string;
let remote: string;
let first: string;
let second: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "cofferdam-git-"));
  remote = join(root, "remote");
  mkdirSync(remote);
  git("init", "-q", "-b", "main");
  first = commit("one");
  second = commit("two");
  git("tag", "v1", first);
});
afterEach(() => {
  rmSync(root, { recursive: true });
});

describe("git source", () => {
  test("gives the tree of a revision, with history, branch and origin", async () => {
    const tree = await checkOut({ method: "full", vcs: { url: `file://${remote}`, branch: "main", revision: second } });

    expect(readFileSync(join(tree, "file.txt"), "utf8")).toBe("two");
    expect(inTree(tree, "rev-parse", "HEAD")).toBe(second);
    expect(inTree(tree, "rev-parse", "--abbrev-ref", "HEAD")).toBe("main");
    expect(inTree(tree, "rev-list", "--count", "HEAD")).toBe("2");
    expect(inTree(tree, "remote", "get-url", "origin")).toBe(`file://${remote}`);
    expect(inTree(tree, "status", "--porcelain")).toBe("");
  });

  test("gives an older revision, and a tag", async () => {
    const older = await checkOut({
      method: "blobless",
      vcs: { url: `file://${remote}`, branch: "main", revision: first },
    });
    const tagged = await checkOut({ method: "full", vcs: { url: `file://${remote}`, tag: "v1" } });

    expect(inTree(older, "rev-parse", "HEAD")).toBe(first);
    expect(inTree(tagged, "rev-parse", "HEAD")).toBe(first);
  });

  test("sees what was pushed since", async () => {
    await checkOut({ method: "full", vcs: { url: `file://${remote}`, branch: "main" } });
    const third = commit("three");

    const tree = await checkOut({ method: "full", vcs: { url: `file://${remote}`, branch: "main" } });

    expect(inTree(tree, "rev-parse", "HEAD")).toBe(third);
  });

  test("shallow has as many commits as were asked for", async () => {
    const tree = await checkOut({
      method: "shallow",
      depth: 1,
      vcs: { url: `file://${remote}`, branch: "main", revision: second },
    });

    expect(inTree(tree, "rev-list", "--count", "HEAD")).toBe("1");
  });

  test.each([
    ["no repository", {}, /has no repository/],
    ["an option for an address", { url: "--upload-pack=touch /tmp/x" }, /no address/],
    ["a transport that runs commands", { url: "ext::sh -c id" }, /no address/],
    ["a repository that is not there", { url: "file:///nonexistent/repo" }, /could not fetch.*nonexistent/s],
    ["an unknown revision", { revision: "0".repeat(40) }, /there is no 0000/],
    ["an option for a branch", { branch: "--help" }, /there is no refs\/heads\/--help/],
  ])("refuses %s in words", async (_what, vcs, words) => {
    const whole = _what === "no repository" ? {} : { url: `file://${remote}`, ...vcs };

    await expect(checkOut({ method: "full", vcs: whole })).rejects.toThrow(words);
  });

  test("knows what another try would not change from what it may", async () => {
    const checkingOut = (url: string) => checkOut({ method: "full", vcs: { url } });

    await expect(checkingOut("file:///nonexistent/repo")).rejects.toMatchObject({ code: "not-found" });
    await expect(checkingOut("https://127.0.0.1:1/x.git")).rejects.toMatchObject({ code: "unavailable" });
  });

  test("reads no repository of its own disk unless that is allowed", async () => {
    const request = { pipelineId: "p", method: "full", signal: AbortSignal.timeout(5_000) } as const;
    const source = gitSource({ directory: root });

    await expect(source.open({ ...request, vcs: { url: `file://${remote}` } })).rejects.toThrow(/no address/);
  });

  test("leaves no checkout behind, and tells no password", async () => {
    await checkOut({ method: "full", vcs: { url: `file://${remote}`, branch: "main" } });
    const failing = checkOut({ method: "full", vcs: { url: "https://me:hunter22@127.0.0.1:1/x.git" } });

    await expect(failing).rejects.toThrow(/could not fetch https:\/\/127\.0\.0\.1:1/);
    await expect(failing).rejects.not.toThrow(/hunter22/);
    await vi.waitFor(() =>
      expect(readdirSync(join(root, "mirrors")).filter((name) => name.startsWith("checkout-"))).toEqual([]),
    );
  });
});

test("keeps the beginning of what a server has to say, and reads the rest", async () => {
  let sent = 0;
  const endless = async function* () {
    for (; sent < 1000; sent++) yield Buffer.alloc(64 * 1024, sent === 0 ? "a" : "b");
  };

  expect(await beginningOf(endless())).toBe("a".repeat(16 * 1024));
  expect(sent).toBe(1000);
});

async function checkOut(request: Pick<SourceRequest, "vcs" | "method" | "depth">): Promise<string> {
  const directory = join(root, "mirrors");
  mkdirSync(directory, { recursive: true });
  const source = gitSource({ directory, localRepositories: true });
  const archive = join(root, `archive-${Math.random()}`);
  const tree = `${archive}.d`;
  mkdirSync(tree);
  await pipeline(
    await source.open({ pipelineId: "p", signal: AbortSignal.timeout(30_000), ...request }),
    createWriteStream(archive),
  );
  execFileSync("tar", ["-x", "--zstd", "-f", archive, "-C", tree], { stdio: "pipe" });
  return tree;
}

function git(...args: string[]): string {
  const who = ["-c", "user.name=t", "-c", "user.email=t@example.org"];
  return execFileSync("git", ["-C", remote, ...who, ...args], { stdio: "pipe" })
    .toString()
    .trim();
}

function inTree(tree: string, ...args: string[]): string {
  return execFileSync("git", ["-C", tree, "-c", "safe.directory=*", ...args], { stdio: "pipe" })
    .toString()
    .trim();
}

function commit(content: string): string {
  writeFileSync(join(remote, "file.txt"), content);
  git("add", ".");
  git("commit", "-qm", content);
  return git("rev-parse", "HEAD");
}
