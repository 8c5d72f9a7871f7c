import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { configCommand } from "../../src/cli/config.ts";
import { orbCommand } from "../../src/cli/orb.ts";
import { type Run, runCommand } from "../fakes/command-line.ts";

const orb = "commands:\n  greet:\n    steps: [{run: echo hello}]\n";
const config = `version: 2.1
orbs: {tools: acme/tools@1}
jobs:
  build:
    machine: true
    steps: [tools/greet]
workflows: {main: {jobs: [build]}}
`;

/** The real server, as a process, spoken to with the commands that people type. */
let cwd: string;
let host: string;
let token: string;
let stop: () => Promise<void>;

beforeAll(async () => {
  cwd = await mkdtemp(join(tmpdir(), "orb-registry-"));
  await Promise.all([
    writeFile(join(cwd, "orb.yml"), orb),
    writeFile(join(cwd, "bad.yml"), orb.replace("run:", "rn:")),
    writeFile(join(cwd, "config.yml"), config),
    mkdir(join(cwd, "store/acme/local"), { recursive: true }),
  ]);
  await writeFile(join(cwd, "store/acme/local/1.0.0.yml"), orb);
  const main = new URL("../../src/control-plane/main.ts", import.meta.url).pathname;
  const env = { COFFERDAM_DATA_DIRECTORY: join(cwd, "data"), COFFERDAM_PORT: "0", COFFERDAM_ORB_REGISTRY: "none" };
  const server = spawn(process.execPath, [main], { env, stdio: ["ignore", "ignore", "pipe"] });
  const exit = once(server, "exit");
  stop = async () => {
    server.kill("SIGTERM");
    await exit;
  };
  let said = "";
  for await (const text of server.stderr) {
    said += String(text);
    const [, url, file] = /listens on (http:\S+)\n.* token is in (\S+)\n/.exec(said) ?? [];
    if (url === undefined || file === undefined) continue;
    host = url;
    token = (await readFile(file, "utf8")).trim();
    break;
  }
}, 30_000);
afterAll(async () => {
  await stop();
  await rm(cwd, { recursive: true });
});

async function run(
  args: string[],
  env: Record<string, string> = { CIRCLE_HOST: host, CIRCLE_TOKEN: token },
): Promise<Run> {
  const [name, ...rest] = args;
  const world = { cwd, env: { HOME: cwd, ...env }, stdin: orb };
  return await runCommand(name === "orb" ? orbCommand : configCommand, rest, world);
}

test("what is published in a control plane is listed, printed, and used by configs", async () => {
  const published = await run(["orb", "publish", "orb.yml", "acme/tools@1.0.0"]);
  const label = await run(["orb", "publish", "-", "acme/tools@dev:next", "--host", host, "--token", token], {});
  const listed = await run(["orb", "list", "--json"]);
  const printed = await run(["orb", "source", "acme/tools@1.0"]);
  const compiled = await run(["config", "process", "config.yml", "--orb-registry", host], { CIRCLE_TOKEN: token });

  expect(published).toEqual({ code: 0, stdout: `Published acme/tools@1.0.0 at ${host}.\n`, stderr: "" });
  expect(label).toMatchObject({ code: 0 });
  expect(JSON.parse(listed.stdout)).toEqual([{ name: "acme/tools", versions: ["1.0.0", "dev:next"] }]);
  expect(printed).toEqual({ code: 0, stdout: orb, stderr: "" });
  expect(compiled).toMatchObject({ code: 0, stderr: "" });
  expect(compiled.stdout).toContain("# Orb 'acme/tools@1' resolved to 'acme/tools@1.0.0'\n");
  expect(compiled.stdout).toContain("command: echo hello");
});

test("a release that is taken, an orb that is not valid and a bad version are refused in words, with 2", async () => {
  await run(["orb", "publish", "orb.yml", "acme/taken@1.0.0"]);

  const taken = await run(["orb", "publish", "orb.yml", "acme/taken@1.0.0"]);
  const invalid = await run(["orb", "publish", "bad.yml", "acme/bad@1.0.0"]);
  const badVersion = await run(["orb", "publish", "orb.yml", "acme/bad@1.0"]);
  const noVersion = await run(["orb", "publish", "orb.yml", "acme/bad"]);

  expect(taken).toMatchObject({ code: 2, stdout: "", stderr: expect.stringContaining("is published already") });
  expect(invalid).toMatchObject({ code: 2, stderr: expect.stringContaining("orb.yml:3:14 error unknown-command") });
  expect(badVersion).toMatchObject({ code: 2, stderr: expect.stringContaining('"1.0" is no version to publish') });
  expect(noVersion).toMatchObject({ code: 2, stderr: "say which version: acme/bad@1.2.3\n" });
  expect((await run(["orb", "list", "acme"])).stdout).not.toContain("acme/bad");
});

test("a version that is not there is told with those that are", async () => {
  await run(["orb", "publish", "orb.yml", "acme/some@1.0.0"]);
  await writeFile(join(cwd, "unknown.yml"), config.replace("acme/tools@1", "acme/some@7"));

  const source = await run(["orb", "source", "acme/some@7"]);
  const compiled = await run(["config", "process", "unknown.yml", "--orb-registry", host]);

  expect(source).toMatchObject({ code: 2, stderr: expect.stringContaining("There are: 1.0.0.") });
  expect(compiled).toMatchObject({ code: 2, stdout: "", stderr: expect.stringContaining("error unknown-orb-version") });
});

test("a token that is wrong or missing is told, with 2", async () => {
  const wrong = await run(["orb", "publish", "orb.yml", "acme/tools@9.0.0", "--token", "wrong"]);
  const missing = await run(["orb", "list", "--host", host], {});
  const compiled = await run(["config", "process", "config.yml", "--orb-registry", host], { XDG_CACHE_HOME: cwd });

  expect(wrong).toMatchObject({
    code: 2,
    stderr: expect.stringContaining("answered 401: it does not take this token"),
  });
  expect(missing).toMatchObject({ code: 2, stderr: expect.stringContaining("it wants a token, and none was given") });
  expect(compiled).toMatchObject({ code: 2, stderr: expect.stringContaining("it wants a token, and none was given") });
});

test("a host that is not reached ends a command with 3, one that is none or not named with 2", async () => {
  const away = { CIRCLE_HOST: "http://127.0.0.1:9" };

  expect(await run(["orb", "publish", "orb.yml", "acme/tools@9.0.0"], away)).toMatchObject({
    code: 3,
    stderr: expect.stringContaining("cannot publish acme/tools@9.0.0: http://127.0.0.1:9 could not be asked"),
  });
  expect(await run(["orb", "list"], away)).toMatchObject({ code: 3 });
  expect(await run(["orb", "source", "acme/tools@1"], away)).toMatchObject({ code: 3 });
  expect(await run(["orb", "list", "--host", "localhost:8080"])).toMatchObject({ code: 2 });
  expect(await run(["orb", "publish", "orb.yml", "acme/tools@9.0.0"], {})).toMatchObject({ code: 2 });
  expect(await run(["orb", "list"], {})).toMatchObject({ code: 2 });
});

test("a folder that is named is meant, whatever CIRCLE_HOST is", async () => {
  const listed = await run(["orb", "list", "--orb-dir", "store"], { CIRCLE_HOST: "http://127.0.0.1:9" });

  expect(listed).toEqual({ code: 0, stdout: "acme/local  1.0.0\n", stderr: "" });
});

test("registries are asked in order; the token is sent to its own host, and each has a cache of its own", async () => {
  await run(["orb", "publish", "orb.yml", "acme/ours@1.0.0"]);
  const tokens: (string | undefined)[] = [];
  const text = orb.replace("hello", "theirs");
  const other = createServer((incoming, response) => {
    tokens.push(incoming.headers.authorization);
    incoming.resume();
    response.end(JSON.stringify({ data: { orbVersion: { version: "1.0.0", source: text } } }));
  });
  await new Promise<void>((resolve) => other.listen(0, "127.0.0.1", resolve));
  const otherUrl = `http://127.0.0.1:${(other.address() as AddressInfo).port}`;
  const source = async (name: string, ...urls: string[]) =>
    await run(["orb", "source", name, ...urls.flatMap((url) => ["--orb-registry", url])]);

  const ours = await source("acme/ours@1.0.0", host, otherUrl);
  const theirs = await source("acme/theirs@1.0.0", host, otherUrl);
  const sameName = await source("acme/ours@1.0.0", otherUrl);
  const firstDown = await source("acme/theirs@1.0.0", "http://127.0.0.1:9", otherUrl);
  other.close();

  expect([ours.stdout, theirs.stdout, sameName.stdout]).toEqual([orb, text, text]);
  expect(tokens).toEqual([undefined, undefined]);
  expect(firstDown).toMatchObject({ code: 3, stdout: "" });
  expect(await readdir(join(cwd, ".cache/cofferdam/orbs"))).toHaveLength(2);
});
