import { createServer } from "node:net";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { leavesNothingBehind } from "../docker/leaves-nothing-behind.ts";
import { EngineProxy } from "./support/engine-proxy.ts";
import { sharedHome } from "./support/fixtures.ts";
import { examples } from "./support/program.ts";

leavesNothingBehind();

const home = await sharedHome();

describe("a config that is wrong is told with place and hint, before any container is made:", () => {
  let proxy: EngineProxy;

  beforeEach(async () => {
    proxy = await EngineProxy.open(home.directory);
  });

  afterEach(async () => {
    await proxy[Symbol.asyncDispose]();
  });

  const build = "jobs: {build: {machine: true, steps: [run: echo x]}}";

  test.each([
    ["no YAML", "version: 2.1\njobs: {build: [\n", /config\.yml:\d+:\d+/],
    ["bytes that are no text", "\u0000\u0001\u0002\uffff", /config\.yml/],
    ["nothing at all", "", /config\.yml/],
    ["an unknown key", `version: 2.1\n${build.replace("machine", "machin")}\n`, /config\.yml:2:\d+[^]*machine/],
    [
      "a cycle",
      `version: 2.1\n${build}\nworkflows: {w: {jobs: [build: {name: a, requires: [b]}, build: {name: b, requires: [a]}]}}\n`,
      /config\.yml:3[^]*(cycle|circular|wait for each other)/i,
    ],
    [
      "an unknown job",
      `version: 2.1\n${build}\nworkflows: {w: {jobs: [biuld]}}\n`,
      /config\.yml:3:\d+[^]*biuld[^]*build/,
    ],
    [
      "an unknown job that is required",
      `version: 2.1\n${build}\nworkflows: {w: {jobs: [build: {requires: [tset]}]}}\n`,
      /config\.yml:3[^]*tset/,
    ],
    [
      "several mistakes at once",
      `version: 2.1\n${build}\nworkflows: {w: {jobs: [a]}, x: {jobs: [\n  b]}}\n`,
      /config\.yml:3[^]*config\.yml:4/,
    ],
  ])("%s", async (_name, config, message) => {
    const { code, stdout, stderr } = await home.exec([await home.project(config)], {
      env: { DOCKER_HOST: proxy.dockerHost },
    });

    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toMatch(message);
    expect(stderr).not.toMatch(/^\s+at .*\.ts:|unexpected error/m);
    expect(proxy.containersMade).toBe(0);
  });

  test("and one that is right makes them: the counting works", async () => {
    const { code } = await home.exec([join(examples, "runner")], { env: { DOCKER_HOST: proxy.dockerHost } });

    expect(code).toBe(0);
    expect(proxy.containersMade).toBeGreaterThan(0);
  });
});

describe("an image", () => {
  const config = (image: string): string => `version: 2.1
jobs:
  broken: {docker: [{image: "${image}"}], steps: [run: echo x]}
  after: {machine: true, steps: [run: echo x]}
  beside: {machine: true, steps: [run: echo beside]}
workflows: {w: {jobs: [broken, beside, after: {requires: [broken]}]}}
`;

  test("whose registry is not there is infrastructure, told in words, and the rest of the graph goes on", async () => {
    const { code, story } = await home.tell(config("127.0.0.1:1/no/such:image"));

    expect(story.job("broken")?.status).toBe("infrastructure_fail");
    expect(story.job("broken")?.messages.join("\n")).toMatch(/127\.0\.0\.1:1[^]*refused/);
    expect(story.job("beside")?.status).toBe("success");
    expect(story.job("after")?.status).toBe("not_run");
    expect(code).toBe(3);
  });

  test("whose name is none fails the job, and the rest of the graph goes on", async () => {
    const { code, story } = await home.tell(config("Not A Name!"));

    expect(story.job("broken")?.status).toBe("failed");
    expect(story.job("broken")?.messages.join("\n")).toContain("Not A Name!");
    expect(story.job("beside")?.status).toBe("success");
    expect(code).toBe(1);
  });
});

describe("without an engine, what to do is said:", () => {
  test.each([
    ["no such socket", "unix:///nowhere.sock", 3, /no engine listens at unix:\/\/\/nowhere\.sock/],
    ["nobody at the port", "tcp://127.0.0.1:1", 3, /no engine listens at tcp:\/\/127\.0\.0\.1:1/],
    ["no address", "nonsense", 2, /DOCKER_HOST is "nonsense"\. It must be like unix:/],
  ])("%s", async (_name, dockerHost, wanted, message) => {
    const { code, stdout, stderr } = await home.exec([join(examples, "runner")], { env: { DOCKER_HOST: dockerHost } });

    expect({ code, stdout }).toEqual({ code: wanted, stdout: "" });
    expect(stderr).toMatch(message);
    expect(stderr).not.toMatch(/^\s+at /m);
  });

  test("one that accepts and never answers, also where Ctrl-C comes first", async () => {
    const path = join(home.directory, "silent.sock");
    const silent = createServer(() => {});
    const connected = new Promise<void>((resolve) => silent.once("connection", () => resolve()));
    await new Promise<void>((resolve) => silent.listen(path, resolve));
    try {
      const interrupted = home.start(["exec", join(examples, "runner")], { env: { DOCKER_HOST: `unix://${path}` } });
      await connected;
      interrupted.child.kill("SIGINT");
      expect((await interrupted.ended).code).toBe(130);

      const { code, stderr } = await home.exec([join(examples, "runner")], { env: { DOCKER_HOST: `unix://${path}` } });
      expect(code).toBe(3);
      expect(stderr).toMatch(/did not answer within \d+ s/);
    } finally {
      silent.close();
    }
  });

  test("a place for its data that cannot be one", async () => {
    const { code, stderr } = await home.exec([join(examples, "runner")], { env: { XDG_DATA_HOME: "/dev/null" } });

    expect(code).toBe(3);
    expect(stderr).toContain("Set XDG_DATA_HOME");
  });
});
