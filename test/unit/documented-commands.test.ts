import { glob, readFile } from "node:fs/promises";
import { join } from "node:path";
import { PassThrough, Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { expect, test } from "vitest";
import { runCli } from "../../src/cli/program.ts";

const root = join(import.meta.dirname, "../..");

/** The command lines of shell blocks and of the heads of compose files: each begins a line. */
async function documented(): Promise<{ where: string; line: string }[]> {
  const found: { where: string; line: string }[] = [];
  for await (const where of glob(["README.md", "docs/**/*.md", "compose/*.yml"], { cwd: root })) {
    const page = await readFile(join(root, where), "utf8");
    for (const [, line = ""] of page.matchAll(/^(?:#\s+)?cofferdam ((?!is |has )[a-z][^\n]*)$/gm))
      found.push({ where, line });
  }
  return found;
}

/** Words as a shell has them, up to a comment, a redirection, or the next command. */
function words(line: string): string[] {
  const [command = ""] = line.split(/\s(?:#|>|&&)/);
  return [...command.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain ?? "");
}

/** What the command line says to these words where there is no control plane, no config and no engine. */
async function answer(args: string[]): Promise<string> {
  const said = new PassThrough();
  const { signal } = new AbortController();
  const env = { DOCKER_HOST: "unix:///nonexistent.sock" };
  await runCli(args, {
    stdin: Readable.from([]),
    stdout: said,
    stderr: said,
    env,
    cwd: "/nonexistent",
    interrupted: signal,
    hurried: signal,
  });
  said.end();
  return await text(said);
}

test("every command line of the documents is one that there is, with arguments that it takes", async () => {
  const lines = await documented();
  const wrong: string[] = [];

  for (const { where, line } of lines) {
    const said = await answer(words(line));
    if (/^error: /m.test(said)) wrong.push(`${where}: cofferdam ${line}: ${said.split("\n")[0]}`);
  }

  expect(lines.length).toBeGreaterThan(10);
  expect(wrong).toEqual([]);
});

test("a command line that is none is told so", async () => {
  expect(await answer(["tasks", "acme/linux"])).toMatch(/^error: too many arguments/m);
});
