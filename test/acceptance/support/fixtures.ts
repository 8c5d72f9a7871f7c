import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll } from "vitest";
import { Home } from "./program.ts";

/** A home that the tests of a file share, gone after them. To be called at the top of the file. */
export async function sharedHome(): Promise<Home> {
  const home = await Home.open();
  afterAll(async () => await home[Symbol.asyncDispose]());
  return home;
}

/** A directory with these texts by their names, for the tests of a file, gone after them. To be called at the top of the file. */
export async function sharedTree(texts: Record<string, string>): Promise<string> {
  const tree = await mkdtemp(join(tmpdir(), "cofferdam-tree-"));
  afterAll(async () => await rm(tree, { recursive: true }));
  for (const [name, text] of Object.entries(texts)) await writeFile(join(tree, name), text);
  return tree;
}
