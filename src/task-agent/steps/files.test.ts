import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { type RunningAgent, startAgent, workOf } from "../../../test/fakes/task-agent.ts";
import type { TestResults } from "../../protocol/agent-api.ts";
import type { StepOutcome } from "../../protocol/records.ts";
import type { Step, Work } from "../../protocol/task.ts";

interface Played extends RunningAgent {
  outcomes: StepOutcome[];
  output: string;
}

/** Runs steps with these stores behind the channel, taken over from an earlier agent. */
async function play(steps: (Step | string)[], from?: RunningAgent, overrides: Partial<Work> = {}): Promise<Played> {
  const agent = startAgent();
  if (from) Object.assign(agent.launch.stores, from.launch.stores);
  agent.launch.handOver(workOf(steps, overrides));
  await agent.launch.ended();
  return { ...agent, outcomes: Object.values(agent.launch.outcomes()), output: agent.launch.output() };
}

const succeeded = { kind: "succeeded" };
const save = (key: string, ...paths: string[]): Step => ({
  type: "save_cache",
  name: "save",
  key,
  paths,
  when: "on_success",
});
const restore = (...keys: string[]): Step => ({ type: "restore_cache", name: "restore", keys });
const persist = (root: string, ...paths: string[]): Step => ({
  type: "persist_to_workspace",
  name: "persist",
  root,
  paths,
});
const attach = (at: string): Step => ({ type: "attach_workspace", name: "attach", at });
const artifacts = (path: string, destination?: string): Step => ({
  type: "store_artifacts",
  name: "artifacts",
  path,
  ...(destination !== undefined && { destination }),
});

describe("caches", () => {
  test("come back at the paths that they came from, the first key that matches wins", async () => {
    const make = "mkdir -p ~/.cache/a deps; echo one > ~/.cache/a/f; echo two > deps/f; ln -s f deps/l";
    const undo = "rm -r ~/.cache deps";
    const show = "cat ~/.cache/a/f deps/l";
    const keys = ["none-", 'deps-{{ checksum "lock" }}'];
    await using agent = await play([
      "echo v1 > lock",
      make,
      save('deps-{{ checksum "lock" }}', "~/.cache", "deps", "missing"),
      save('deps-{{ checksum "lock" }}', "deps"),
      undo,
      restore(...keys),
      show,
      restore("nothing-"),
    ]);

    expect(agent.outcomes.every(({ kind }) => kind === "succeeded")).toBe(true);
    expect([...agent.launch.stores.caches.keys()]).toEqual([
      `deps-${createHash("sha256").update("v1\n").digest("base64")}`,
    ]);
    expect(agent.launch.output(106)).toBe("one\ntwo\n");
    expect(agent.launch.output(102)).toContain("missing: no such file or directory");
    expect(agent.launch.output(103)).toContain("already exists for key: deps-");
    expect(agent.launch.output(107)).toBe("No cache is found for key: nothing-\n");
  });

  test("have keys of templates", async () => {
    const environment = { CIRCLE_BRANCH: "main", CIRCLE_SHA1: "abc", CIRCLE_BUILD_NUM: "7", X: "y" };
    const template =
      "{{ .Branch }}-{{.Revision}}-{{ .BuildNum }}-{{ .Environment.X }}-{{ .Environment.NOT }}-{{ arch }}-{{ epoch }}";

    await using agent = await play([restore(template)], undefined, { environment });

    expect(agent.output).toMatch(/key: main-abc-7-y-<no value>-linux-(amd64|arm64)\S*-\d{10}\n$/);
  });

  test.each([
    ['{{ checksum "nope" }}', /checksum of \S+\/nope: there is no such file/],
    ["{{ .Unknown }}", /{{ \.Unknown }}, which is unknown/],
  ])("fail in words where a key cannot be resolved: %s", async (key, message) => {
    await using agent = await play([restore(key)]);

    expect(agent.outcomes[0]).toMatchObject({ kind: "failed", message: expect.stringMatching(message) });
  });

  test("that cannot be had or stored are no failure", async () => {
    await using agent = startAgent({ refuse: () => ({ message: "store down", infrastructure: true }) });
    agent.launch.handOver(workOf(["echo x > f", save("k", "f"), restore("k")]));

    expect(await agent.launch.ended()).toMatchObject({ status: "success" });
    expect(agent.launch.output()).toMatch(/not stored: store down\n.*no cache was restored: store down/s);
  });
});

describe("workspaces", () => {
  test("lay what jobs have persisted over one another", async () => {
    const odd =
      "mkdir -p out/.hidden 'out/a b' out/empty; echo 1 > out/.hidden/f; echo 1 > 'out/a b/f'; ln -s 'a b' out/l; chmod 750 'out/a b'";
    await using first = await play([odd, persist("out", "*")]);
    await using second = await play(
      ["mkdir -p out/x; echo 2 > out/x/1.txt; echo 2 > out/x/2.log", persist("out", "x/*.txt")],
      first,
    );

    await using third = await play([attach("at"), "cd at; find . | LC_ALL=C sort; stat -c %a 'a b'; cat l/f"], second);

    expect(first.outcomes).toEqual([succeeded, succeeded]);
    const names = [".", "./.hidden", "./.hidden/f", "./a b", "./a b/f", "./empty", "./l", "./x", "./x/1.txt"];
    expect(third.launch.output(101)).toBe(`${[...names, "750", "1"].join("\n")}\n`);
  });

  test("can be persisted whole, and attached where nothing is", async () => {
    await using agent = await play(["echo x > f", persist(".", "."), attach("sub/../at"), "cat at/f"]);

    expect(agent.outcomes[1]).toEqual(succeeded);
    expect(agent.launch.output(103)).toBe("x\n");
  });

  test.each([
    ["a root that is missing", persist("nope", "*"), /nope is no directory/],
    ["paths that match nothing", persist(".", "nope*"), /match nothing/],
    ["a path that leads out", persist(".", "../x"), /not below the root/],
    ["a pattern that is none", persist(".", "a[b"), /is no pattern/],
  ])("fail in words for %s", async (_name, step, message) => {
    await using agent = await play([step]);

    expect(agent.outcomes[0]).toMatchObject({ kind: "failed", message: expect.stringMatching(message) });
  });
});

describe("artifacts", () => {
  test("keep their paths, or go where the step says", async () => {
    const make = "mkdir -p dist/sub; echo a > dist/a; echo b > dist/sub/b; ln -s ../a dist/sub/l";
    await using agent = await play([
      make,
      artifacts("dist"),
      artifacts("./dist/a", "name.txt"),
      artifacts("dist/sub", "pre/fix/"),
    ]);

    expect([...agent.launch.stores.artifacts.keys()].sort()).toEqual(
      ["dist/a", "dist/sub/b", "dist/sub/l", "name.txt", "pre/fix/b", "pre/fix/l"].sort(),
    );
    expect(agent.launch.stores.artifacts.get("pre/fix/l")?.toString()).toBe("a\n");
  });

  test("are never a fifo, a device, a socket or a link out, and nothing hangs", async () => {
    const make =
      "mkdir d; mkfifo d/fifo; ln -s /etc/passwd d/out; ln -s /dev/zero d/zero; ln -s nowhere d/gone; ln -s . d/loop; echo ok > d/ok";
    await using agent = await play([make, artifacts("d"), artifacts("d/fifo"), artifacts("/dev/zero")]);

    expect([...agent.launch.stores.artifacts.keys()]).toEqual(["d/ok"]);
    for (const refusal of [
      /fifo: it is a fifo/,
      /out: it is a link to \/etc\/passwd, outside/,
      /gone: it is a link to nothing/,
    ])
      expect(agent.launch.output(101)).toMatch(refusal);
    expect(agent.launch.output(103)).toMatch(/\/dev\/zero: it is a device/);
    expect(agent.outcomes.every(({ kind }) => kind === "succeeded")).toBe(true);
  });

  test("that are missing are no failure, that are refused by the server are", async () => {
    await using agent = startAgent({ refuse: () => ({ message: "too big" }) });
    agent.launch.handOver(workOf([artifacts("nope"), "echo x > f", artifacts("f")]));
    await agent.launch.ended();

    expect(agent.launch.outcomes()).toMatchObject({ 100: succeeded, 102: { kind: "failed", message: "too big" } });
    expect(agent.launch.output(100)).toBe("No artifact files found at nope\n");
  });
});

describe("test results", () => {
  test("are read from JUnit files", async () => {
    const xml = `<?xml version="1.0"?><testsuites><testsuite name="s" file="a.test.ts">
      <testcase classname="c" name="ok &lt;1&gt;" time="1,000.5"/>
      <testcase name="bad" file="b.ts" time="x"><failure message="m">text &amp; more</failure></testcase>
      <testcase name="skip"><skipped/></testcase><testcase name="err"><error>boom</error></testcase></testsuite></testsuites>`;
    await using agent = startAgent();
    mkdirSync(join(agent.workspace, "r"));
    writeFileSync(join(agent.workspace, "r/a.xml"), xml);
    writeFileSync(join(agent.workspace, "r/broken.xml"), "<testsuite>");
    agent.launch.handOver(workOf([{ type: "store_test_results", name: "x", path: "r" }]));
    await agent.launch.ended();

    const { tests } = JSON.parse(agent.launch.stores.testResults[0]?.toString() ?? "") as TestResults;
    expect(tests).toEqual([
      { classname: "c", name: "ok <1>", file: "a.test.ts", result: "success", runTime: 1000.5 },
      { classname: "s", name: "bad", file: "b.ts", result: "failure", message: "m\ntext & more", runTime: 0 },
      { classname: "s", name: "skip", file: "a.test.ts", result: "skipped", runTime: 0 },
      { classname: "s", name: "err", file: "a.test.ts", result: "error", message: "boom", runTime: 0 },
    ]);
    expect(agent.launch.output()).toMatch(/Left out \S+broken.xml/);
    expect(agent.launch.output()).toMatch(/Stored 4 test results from 2 files, 2 of them failed/);
  });

  test("do not expand entities", async () => {
    const bomb = `<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]><testsuite><testcase name="&b;"/></testsuite>`;
    await using agent = startAgent();
    writeFileSync(join(agent.workspace, "a.xml"), bomb);
    agent.launch.handOver(workOf([{ type: "store_test_results", name: "x", path: "a.xml" }]));
    await agent.launch.ended();

    expect(JSON.stringify(agent.launch.stores.testResults.map(String))).not.toContain("aaaaaaaaaa");
  });
});

describe("checkout", () => {
  const checkout: Step = { type: "checkout", name: "checkout", method: "blobless" };
  const tree = execFileSync("bash", [
    "-c",
    "cd $(mktemp -d); mkdir .git src; echo hi > src/f; tar -c . | zstd -q; rm -r $PWD",
  ]);

  test("puts the tree into the working directory, over a repository too", async () => {
    await using agent = startAgent();
    agent.launch.stores.source = tree;
    agent.launch.handOver(workOf([checkout, "cat src/f", "echo changed > src/f", checkout, "cat src/f"]));
    await agent.launch.ended();

    expect(agent.launch.output(101)).toBe("hi\n");
    expect(agent.launch.output(104)).toBe("hi\n");
    expect(existsSync(join(agent.workspace, ".git"))).toBe(true);
  });

  test("refuses a directory that is neither empty nor a repository", async () => {
    await using agent = startAgent();
    agent.launch.stores.source = tree;
    agent.launch.handOver(workOf(["echo x > f", checkout]));
    await agent.launch.ended();

    expect(agent.launch.outcomes()[101]).toMatchObject({ kind: "failed", message: expect.stringMatching(/not empty/) });
    expect(readFileSync(join(agent.workspace, "f"), "utf8")).toBe("x\n");
  });

  test("that nobody answers ends on cancel, at once", async () => {
    await using agent = startAgent({ answers: false });
    agent.launch.handOver(workOf([checkout, "echo no"], { killGraceMs: 600_000 }));
    await agent.launch.until(() => agent.launch.requests.length > 0);

    agent.launch.cancel();

    expect(await agent.launch.ended()).toMatchObject({ status: "canceled" });
    expect(agent.launch.outcomes()).toEqual({ 100: { kind: "canceled" } });
  });

  test("that the infrastructure fails ends the task as such", async () => {
    await using agent = startAgent({ refuse: () => ({ message: "no answer", infrastructure: true }) });
    agent.launch.handOver(workOf([checkout, "echo no"]));

    expect(await agent.launch.ended()).toMatchObject({ status: "infrastructure_fail" });
    expect(Object.keys(agent.launch.outcomes())).toEqual(["100"]);
  });
});
