import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { listOrbs, orbFolder } from "./folder.ts";

let directory: string;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "orbs-"));
  await mkdir(join(directory, "store/acme/tool"), { recursive: true });
  for (const version of ["1.0.0", "1.1.0", "2.0.0", "dev:next"]) {
    await writeFile(join(directory, `store/acme/tool/${version}.yml`), `description: tool ${version}\n`);
  }
  await writeFile(join(directory, "store/acme/README.md"), "no orb");
  await writeFile(join(directory, "1.0.0.yml"), "outside of the store");
});
afterAll(() => rm(directory, { recursive: true }));

function find(namespace: string, name: string, version: string) {
  return orbFolder(join(directory, "store")).find({ kind: "registry", namespace, name, version });
}

test("a version is resolved and named in the answer", async () => {
  expect(await find("acme", "tool", "1")).toEqual({
    found: true,
    resolved: "acme/tool@1.1.0",
    text: "description: tool 1.1.0\n",
  });
  expect(await find("acme", "tool", "dev:next")).toMatchObject({ resolved: "acme/tool@dev:next" });
});

test("a missing version says which ones there are, a missing orb which orbs there are", async () => {
  expect(await find("acme", "tool", "3")).toMatchObject({
    reason: "no-such-version",
    known: ["2.0.0", "1.1.0", "1.0.0", "dev:next"],
  });
  expect(await find("acme", "tol", "1")).toMatchObject({ reason: "no-such-orb", known: ["acme/tool"] });
});

test("no reference leads out of the folder", async () => {
  expect(await find("..", "..", "1.0.0")).toEqual({ found: false, reason: "no-such-orb" });
  expect(await find("acme", "tool", "../../../1.0.0")).toMatchObject({ found: false, reason: "no-such-version" });
});

test("a folder that is not there has no orbs", async () => {
  const answer = orbFolder(join(directory, "nowhere")).find({
    kind: "registry",
    namespace: "a",
    name: "b",
    version: "1",
  });

  expect(await answer).toMatchObject({ found: false, reason: "no-such-orb" });
  expect(await listOrbs(join(directory, "nowhere"))).toEqual([]);
});

test("the folder is listed with its versions", async () => {
  expect(await listOrbs(join(directory, "store"))).toEqual([
    { name: "acme/tool", versions: ["2.0.0", "1.1.0", "1.0.0", "dev:next"] },
  ]);
});
