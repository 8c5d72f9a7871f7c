import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { readContexts } from "./contexts.ts";

async function contextFile(text: string): Promise<{ cwd: string }> {
  const cwd = await mkdtemp(join(tmpdir(), "cofferdam-contexts-"));
  onTestFinished(async () => await rm(cwd, { recursive: true, force: true }));
  await writeFile(join(cwd, "team.env"), text);
  return { cwd };
}

test("reads a context's variables as they stand", async () => {
  const io = await contextFile('# keys\n\nTOKEN=a=b "c"\r\nEMPTY=\n');

  expect(await readContexts({ team: "team.env" }, io)).toEqual({ team: { TOKEN: 'a=b "c"', EMPTY: "" } });
});

test("names the line that is no variable", async () => {
  const io = await contextFile("A=1\nexport B=2\n");

  await expect(readContexts({ team: "team.env" }, io)).rejects.toThrow("team.env:2 is not of the form KEY=VALUE");
});

test("says which file is missing", async () => {
  await expect(readContexts({ team: "gone.env" }, await contextFile(""))).rejects.toThrow("gone.env");
});
