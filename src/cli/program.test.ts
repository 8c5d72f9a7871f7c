import { Readable, Writable } from "node:stream";
import { expect, test } from "vitest";
import { exitCode } from "./io.ts";
import { runCli } from "./program.ts";

test("an error that quotes what others wrote moves no cursor and sets no title", async () => {
  let told = "";
  const stderr = new Writable({
    write(chunk, _encoding, done) {
      told += String(chunk);
      done();
    },
  });
  const { signal } = new AbortController();
  const stdin = Readable.from([]);
  const io = { stdin, stdout: stderr, stderr, env: {}, cwd: process.cwd(), interrupted: signal, hurried: signal };

  const code = await runCli(["config", "process", "/nowhere/\u001b]0;pwned\u0007"], io);

  expect(code).toBe(exitCode.usage);
  expect(told).toContain("/nowhere/");
  expect(told).not.toMatch(/[\u001b\u0007]/);
});
