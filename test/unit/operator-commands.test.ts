import { once } from "node:events";
import { readFile, stat, writeFile } from "node:fs/promises";
import { createServer, type RequestListener } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { PassThrough, Readable } from "node:stream";
import { describe, expect, test } from "vitest";
import { runCli } from "../../src/cli/program.ts";
import { WatchEvent } from "../../src/protocol/watch.ts";
import { certificates } from "../fakes/certificates.ts";
import { piece, started } from "../fakes/fake-agent.ts";
import { type OperatedControlPlane, operatedControlPlane, repositoryIn } from "../fakes/operated-control-plane.ts";

const config = `version: 2.1
parameters: {say: {type: string, default: nothing}}
jobs: {build: {machine: true, resource_class: a/b, steps: [run: echo << pipeline.parameters.say >>]}}
workflows: {w: {jobs: [build]}}
`;

interface World {
  env?: Record<string, string>;
  cwd?: string;
  stdin?: string;
  interrupted?: AbortSignal;
}

/** One run of the program, and what it has written so far. */
function begin(
  args: string[],
  { env = {}, cwd = "/", stdin = "", interrupted = new AbortController().signal }: World = {},
) {
  const written = { stdout: "", stderr: "" };
  const stream = (name: "stdout" | "stderr") =>
    new PassThrough().on("data", (chunk) => (written[name] += String(chunk)));
  const [stdout, stderr] = [stream("stdout"), stream("stderr")];
  const hurried = new AbortController().signal;
  const code = runCli(args, { stdin: Readable.from([stdin]), stdout, stderr, env, cwd, interrupted, hurried });
  return {
    written,
    ended: code.then((value) => ({ code: value, ...written })),
    says: async (text: string) => {
      while (!written.stdout.includes(text)) await once(stdout, "data", { signal: AbortSignal.timeout(20_000) });
    },
  };
}

async function run(args: string[], world?: World) {
  return await begin(args, world).ended;
}

/** As an operator, who has set host and token once. */
function operatorOf(plane: OperatedControlPlane) {
  const env = { CIRCLE_HOST: plane.url, CIRCLE_TOKEN: plane.token };
  return {
    env,
    run: async (args: string[], world: World = {}) => await run(args, { env, cwd: plane.directory, ...world }),
  };
}

async function withClass(plane: OperatedControlPlane): Promise<string> {
  await plane.controlPlane.putResourceClass({ name: "a/b" });
  return (await plane.controlPlane.createToken("a/b", "test")).reveal();
}

describe("classes and tokens", () => {
  test("are made, shown, changed and deleted from the command line", async () => {
    await using plane = await operatedControlPlane();
    const operator = operatorOf(plane);
    const settings =
      "--memory 512m --cpus 1.5 --network egress --allow 10.0.0.0/8 --allow example.com:443,8000-8100 --deny [fd00::/8]:53/udp --deny fe80::/10 --network-audit --pull always --allow-image cimg/* --max-run-time 1h30m --unsafe-retries --isolation strict";

    const made = await operator.run(["resource-class", "create", "a/b", "--description", "d", ...settings.split(" ")]);
    const twice = await operator.run(["resource-class", "create", "a/b"]);
    const shown = await operator.run(["resource-class", "show", "a/b"]);
    await operator.run([
      "resource-class",
      "update",
      "a/b",
      "--memory",
      "1g",
      "--no-unsafe-retries",
      "--reset",
      "network",
    ]);
    const changed = await operator.run(["resource-class", "show", "a/b"]);
    const listed = await operator.run(["resource-class", "list"]);
    const deleted = await operator.run(["resource-class", "delete", "a/b"]);
    const gone = await operator.run(["resource-class", "show", "a/b"]);

    expect(made).toMatchObject({ code: 0, stdout: expect.stringContaining("cofferdam token create a/b") });
    expect(twice).toMatchObject({
      code: 2,
      stderr: 'cofferdam: there is a resource class "a/b" already; update it.\n',
    });
    expect(JSON.parse(shown.stdout)).toMatchObject({
      description: "d",
      settings: {
        limits: { memoryBytes: 512 * 1024 ** 2, cpus: 1.5 },
        isolation: "strict",
        network: {
          mode: "egress",
          allow: [{ to: "10.0.0.0/8" }, { to: "example.com", ports: ["443", "8000-8100"] }],
          deny: [{ to: "fd00::/8", ports: ["53"], protocol: "udp" }, { to: "fe80::/10" }],
          audit: true,
        },
        pull: "always",
        allowedImages: ["cimg/*"],
        maxRunTimeMs: 5_400_000,
        unsafeRetries: true,
      },
    });
    const after = JSON.parse(changed.stdout) as { settings: Record<string, unknown> };
    expect(after.settings).toMatchObject({ limits: { memoryBytes: 1024 ** 3, cpus: 1.5 }, unsafeRetries: false });
    expect(after.settings).not.toHaveProperty("network");
    expect(listed.stdout).toBe("RESOURCE CLASS  DESCRIPTION\na/b             d\n");
    expect([deleted.code, gone.code]).toEqual([0, 2]);
  });

  test("a token is shown once, or written into a new file that only its owner can read", async () => {
    await using plane = await operatedControlPlane();
    await withClass(plane);
    const operator = operatorOf(plane);

    const shown = await operator.run(["token", "create", "a/b", "--nickname", "one"]);
    const filed = await operator.run(["token", "create", "a/b", "-o", "token"]);
    const again = await operator.run(["token", "create", "a/b", "-o", "token"]);
    const listed = JSON.parse((await operator.run(["token", "list", "a/b", "--json"])).stdout) as {
      id: string;
      nickname: string;
    }[];
    const id = listed.find(({ nickname }) => nickname === "one")?.id ?? "";
    const deleted = await operator.run(["token", "delete", id]);

    const file = join(plane.directory, "token");
    const token = (await readFile(file, "utf8")).trim();
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    expect(filed.stdout).not.toContain(token);
    expect(await plane.http.claim(token)).toBeUndefined();
    expect(again).toMatchObject({ code: 2, stderr: expect.stringContaining("there is such a file already") });
    // Nothing was made for the one that could not be written.
    expect(listed.map(({ nickname }) => nickname).toSorted()).toEqual(["default", "one", "test"]);
    expect(deleted.code).toBe(0);
    await expect(plane.http.claim(shown.stdout.trim())).rejects.toThrow("401");
  });

  test.each([
    ["--memory", "much"],
    ["--cpus", "0"],
    ["--allow", "https://example.com"],
    ["--max-run-time", "long"],
    ["--network", "host"],
  ])("%s %s is bad usage", async (flag, value) => {
    const { code, stderr } = await run(["resource-class", "create", "a/b", flag, value]);

    expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringContaining(value) });
  });
});

test("agents and tasks are listed for people and for programs", async () => {
  await using plane = await operatedControlPlane();
  const token = await withClass(plane);
  const operator = operatorOf(plane);
  const { url } = await repositoryIn(plane.directory);
  const many = config.replace("machine: true", "machine: true, parallelism: 3");
  await operator.run(["trigger", "-c", "-", "--repo", url], { stdin: many });
  await plane.http.claim(token, { name: "agent (1)" });

  const agents = await operator.run(["agents"]);
  const json = await operator.run(["agents", "--resource-class", "a/b", "--json"]);
  const tasks = await operator.run(["tasks", "--limit", "2"]);

  expect(agents.stdout).toMatch(/^NAME +RESOURCE CLASS .*\nagent \(1\) +a\/b .* \d+s ago +1\n$/);
  expect(JSON.parse(json.stdout)).toMatchObject([{ name: "agent (1)", running_tasks: [expect.any(String)] }]);
  expect(tasks.stdout).toMatch(
    /^STATUS .*\nrunning +1 +w +build +0 +a\/b +1 +\d+s +agent \(1\)\nqueued +1 +w +build +1 +a\/b +1 +\d+s\n1 running, 2 waiting\n$/,
  );
});

describe("trigger", () => {
  test.each([
    ["success" as const, 0],
    ["failed" as const, 1],
    ["infrastructure_fail" as const, 3],
  ])("--follow shows a pipeline to its end; %s exits with %i", async (status, code) => {
    await using plane = await operatedControlPlane();
    const token = await withClass(plane);
    const { url } = await repositoryIn(plane.directory);
    await writeFile(join(plane.directory, "my.yml"), config);
    const { env } = operatorOf(plane);
    const args = [
      "trigger",
      "--config",
      "my.yml",
      "--repo",
      url,
      "--branch",
      "main",
      "--param",
      "say=hello",
      "--follow",
    ];

    const followed = begin(args, { env, cwd: plane.directory });
    const held = await plane.http.claim(token, { waitMs: 20_000 });
    await held?.send([started(100), piece(100, 0, "hello\n")]);
    await followed.says("[build] hello");
    await held?.send([
      { type: "step-ended", step: 100, outcome: { kind: "succeeded" }, atMs: 2 },
      { type: "task-ended", status, atMs: 3 },
    ]);

    const { stdout, ...rest } = await followed.ended;
    expect(held?.task.work.steps).toMatchObject([{ command: "echo hello" }]);
    expect({ stdout, code: rest.code }).toEqual({ code, stdout: expect.stringContaining(`build  ${status}`) });
  });

  test("shows what is wrong with a config as exec does", async () => {
    await using plane = await operatedControlPlane();
    const { url } = await repositoryIn(plane.directory);

    const stdin = "version: 2.1\njobs: {build: {machine: true, steps: [no-such-command]}}\n";
    const { code, stderr } = await operatorOf(plane).run(["trigger", "-c", "-", "--repo", url], { stdin });

    expect({ code, stderr }).toEqual({
      code: 2,
      stderr: expect.stringMatching(/^<stdin>:2:\d+ error .*\n(.*\n)+ +\| +\^+\n/),
    });
  });

  test("--json tells the pipeline, and with --follow its events", async () => {
    await using plane = await operatedControlPlane();
    await withClass(plane);
    const { url } = await repositoryIn(plane.directory);
    const operator = operatorOf(plane);
    const red = config.replace("a/b", "no/where");

    const made = await operator.run(["trigger", "-c", "-", "--repo", url, "--json"], { stdin: config });
    const events = await operator.run(["trigger", "-c", "-", "--repo", url, "--json", "--follow"], { stdin: red });

    expect(JSON.parse(made.stdout)).toEqual({ id: expect.any(String), number: 1 });
    const told = events.stdout
      .trim()
      .split("\n")
      .map((line) => WatchEvent.parse(JSON.parse(line)));
    expect([told[0]?.type, told.at(-1)?.type, events.code]).toEqual(["pipeline", "pipeline-ended", 1]);
  });

  test("an interrupt leaves the pipeline running, and says how to see it and how to end it", async () => {
    await using plane = await operatedControlPlane();
    const token = await withClass(plane);
    const { url } = await repositoryIn(plane.directory);
    const { env } = operatorOf(plane);
    const interrupt = new AbortController();
    const world = { env, stdin: config, interrupted: interrupt.signal };

    const followed = begin(["trigger", "-c", "-", "--repo", url, "--follow"], world);
    const held = await plane.http.claim(token, { waitMs: 20_000 });
    await held?.send([started(100), piece(100, 0, "hello\n")]);
    await followed.says("hello");
    interrupt.abort();
    const { code, stderr } = await followed.ended;

    expect(code).toBe(130);
    expect(stderr).toBe("pipeline 1 runs on. To see it: cofferdam follow 1; to end it: cofferdam cancel 1\n");
    const cancelled = await operatorOf(plane).run(["cancel", "1", "--reason", "enough"]);
    expect(cancelled).toMatchObject({ code: 0, stdout: "Pipeline 1 is being cancelled.\n" });
    await held?.finish("canceled");
    const seen = await operatorOf(plane).run(["follow", "1"]);
    expect(seen.stdout).toContain("[build] hello");
    expect(seen.stdout).toContain("1 canceled");
  });

  test("approval jobs are waited for, and pass with a word of the operator", async () => {
    await using plane = await operatedControlPlane();
    await withClass(plane);
    const { url } = await repositoryIn(plane.directory);
    const { env } = operatorOf(plane);
    const stdin = "version: 2.1\nworkflows: {w: {jobs: [hold: {type: approval}]}}\n";

    const followed = begin(["trigger", "-c", "-", "--repo", url, "--follow"], { env, stdin });
    await followed.says("To let it pass: cofferdam approve 1 hold");
    const approved = await operatorOf(plane).run(["approve", "1", "hold"]);

    expect(approved.stdout).toBe("Approved hold of pipeline 1.\n");
    expect(await followed.ended).toMatchObject({ code: 0 });
  });

  test("a control plane that is started again is followed on, and nothing is shown twice", async () => {
    const plane = await operatedControlPlane();
    const token = await withClass(plane);
    const { url } = await repositoryIn(plane.directory);
    const { env } = operatorOf(plane);
    const followed = begin(["trigger", "-c", "-", "--repo", url, "--follow"], { env, stdin: config });
    const held = await plane.http.claim(token, { waitMs: 20_000 });
    await held?.send([started(100), piece(100, 0, "before\n")]);
    await followed.says("before");
    await plane.controlPlane.close({ graceMs: 0 });

    await using again = await operatedControlPlane(
      { dataDirectory: join(plane.directory, "data"), adminTokenFile: join(plane.directory, "admin-token") },
      Number(new URL(plane.url).port),
    );
    await held
      ?.over(again.http)
      .sendFrom(3, [
        piece(100, 7, "after\n"),
        { type: "step-ended", step: 100, outcome: { kind: "succeeded" }, atMs: 2 },
        { type: "task-ended", status: "success", atMs: 3 },
      ]);

    const { code, stdout } = await followed.ended;
    expect(code).toBe(0);
    expect(stdout.match(/before|after/g)).toEqual(["before", "after"]);
    await plane[Symbol.asyncDispose]();
  });
});

describe("a host that is none", () => {
  test.each<[string, RequestListener, number, RegExp]>([
    [
      "answers HTML",
      (_ask, answer) => answer.setHeader("content-type", "text/html").end("<p>hello"),
      3,
      /answered with text\/html: there is no control plane/,
    ],
    [
      "answers an error page",
      (_ask, answer) => answer.writeHead(502, { "content-type": "text/html" }).end("<p>"),
      3,
      /answered 502, not as a control plane does/,
    ],
    [
      "answers other JSON",
      (_ask, answer) => answer.setHeader("content-type", "application/json").end('{"a":1}'),
      3,
      /of another version/,
    ],
    [
      "breaks off",
      (_ask, answer) =>
        answer.setHeader("content-type", "application/json").writeHead(200, { "content-length": 99 }).end("{") &&
        answer.socket?.destroy(),
      3,
      /broke the connection off|cannot be asked/,
    ],
    [
      "redirects",
      (_ask, answer) => answer.writeHead(302, { location: "https://example.com/login" }).end(),
      3,
      /sends callers on to https:\/\/example.com\/login/,
    ],
    [
      "refuses the token",
      (_ask, answer) =>
        answer.writeHead(401, { "content-type": "application/json" }).end('{"code":"unauthorized","message":"no"}'),
      2,
      /does not take this token/,
    ],
    [
      "is behind a proxy that wants something else",
      (_ask, answer) => answer.writeHead(401, { "content-type": "text/html" }).end("<h1>Sign in</h1>"),
      3,
      /answered 401, not as a control plane does/,
    ],
    [
      "is too busy",
      (_ask, answer) =>
        answer.writeHead(429, { "content-type": "application/json" }).end('{"code":"busy","message":"later"}'),
      3,
      /answered 429: later/,
    ],
  ])("%s: one line, without the token", async (_name, listener, code, words) => {
    const server = createServer(listener).listen(0, "127.0.0.1");
    await once(server, "listening");
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

    const answer = await run(["agents", "--host", url, "--token", "hush-hush"]);

    expect(answer).toEqual({ code, stdout: "", stderr: expect.stringMatching(words) });
    expect(answer.stderr.trim().split("\n")).toHaveLength(1);
    expect(answer.stderr).not.toContain("hush-hush");
    server.close();
  });

  test("whose certificate nobody trusts, or that speaks no TLS, is told so", async () => {
    const secure = createTlsServer({ ...certificates.first }, (_ask, answer) => answer.end()).listen(0, "127.0.0.1");
    const plain = createServer((_ask, answer) => answer.end()).listen(0, "127.0.0.1");
    await Promise.all([once(secure, "listening"), once(plain, "listening")]);
    const port = (server: { address(): unknown }): number => (server.address() as AddressInfo).port;

    const untrusted = await run(["agents", "--host", `https://127.0.0.1:${port(secure)}`, "--token", "t"]);
    const without = await run(["agents", "--host", `https://127.0.0.1:${port(plain)}`, "--token", "t"]);

    expect(untrusted).toMatchObject({ code: 3, stderr: expect.stringContaining("NODE_EXTRA_CA_CERTS") });
    expect(without).toMatchObject({ code: 3, stderr: expect.stringContaining("does not speak TLS") });
    secure.close();
    plain.close();
  });

  test.each([
    [["agents"], 2, "say which control plane"],
    [["agents", "--host", "example.com"], 2, "is no URL"],
    [["agents", "--host", "http://127.0.0.1:1"], 3, "nothing listens there"],
    [["agents", "--host", "http://no-such-host.invalid"], 3, "cannot be reached"],
    [["agents", "--host", "http://127.0.0.1:1", "--token-file", "/nowhere"], 2, "cannot read the token in /nowhere"],
    [["resource-class", "show", "ab", "--host", "http://127.0.0.1:1"], 2, "NAMESPACE/NAME"],
  ])("%j is told in one line", async (args, code, words) => {
    const answer = await run(args);

    expect(answer).toEqual({ code, stdout: "", stderr: expect.stringContaining(words) });
    expect(answer.stderr.trim().split("\n")).toHaveLength(1);
  });
});
