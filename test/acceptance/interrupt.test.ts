import { expect, test } from "vitest";
import { engineUnderTest } from "../docker/engine-under-test.ts";
import { leavesNothingBehind } from "../docker/leaves-nothing-behind.ts";
import { EngineProxy } from "./support/engine-proxy.ts";
import { sharedHome } from "./support/fixtures.ts";
import { told } from "./support/program.ts";

leavesNothingBehind();

const home = await sharedHome();

const stubborn = (trap: string): string => `version: 2.1
jobs:
  long:
    machine: true
    steps:
      - run: |
          trap '${trap}' TERM
          echo asleep
          while :; do sleep 600 & wait $!; done
      - run: {when: always, command: echo never}
  next: {machine: true, steps: [run: echo never]}
workflows: {w: {jobs: [long, next: {requires: [long]}]}}
`;

/** Containers and volumes of the runs of this home, by the socket directory's mark in their agent's name. */
async function leftovers(agent: string): Promise<number> {
  const engine = await engineUnderTest();
  return (await engine.list({ "dev.cofferdam.agent": agent }, AbortSignal.timeout(20_000))).length;
}

const agentOf = (stdout: string): string => /Launch agent (\S+)/.exec(stdout)?.[1] ?? "";

test("Ctrl-C ends the running step politely, runs nothing more, and leaves nothing", async () => {
  const run = home.start(["exec", await home.project(stubborn("echo goodbye; exit 0"))]);
  await run.says("] asleep\n");

  run.child.kill("SIGINT");

  const { code, stdout, stderr } = await run.ended;
  expect({ code, stderr }).toEqual({ code: 130, stderr: "" });
  expect(stdout).toContain("canceling; once more to hurry\n");
  expect(stdout).toContain("[long] goodbye\n");
  expect(stdout).toMatch(/- long +canceled/);
  expect(stdout).not.toContain("] never");
  expect(await leftovers(agentOf(stdout))).toBe(0);
});

test("Ctrl-C twice does not wait for a step that will not end", async () => {
  const run = home.start(["exec", await home.project(stubborn("echo no"))]);
  await run.says("] asleep\n");

  run.child.kill("SIGINT");
  await run.says("canceling");
  run.child.kill("SIGINT");

  const { code, stdout } = await run.ended;
  expect(code).toBe(130);
  expect(stdout).toMatch(/- long +canceled/);
  expect(await leftovers(agentOf(stdout))).toBe(0);
});

test("Ctrl-C before anything runs ends it, too, and with --json the story is whole", async () => {
  const run = home.start(["exec", await home.project(stubborn("exit 0")), "--json"]);
  await run.says('"type":"pipeline"');

  run.child.kill("SIGINT");

  const { code, stdout } = await run.ended;
  expect(code).toBe(130);
  expect(told(stdout).events.at(-1)?.type).toBe("pipeline-ended");
});

test("a reader that goes away, as `| head` does, ends the run, and leaves nothing", async () => {
  const config = stubborn("exit 0").replace("echo asleep", "echo asleep; yes &");
  const run = home.start(["exec", await home.project(config)]);
  await run.says("] asleep\n");

  run.child.stdout.destroy();

  const { code, stdout } = await run.ended;
  expect(code).toBe(130);
  expect(await leftovers(agentOf(stdout))).toBe(0);
});

test("what a killed run leaves is removed by the next one, and not what a living one needs", async () => {
  const config = stubborn("exit 0");
  const killed = home.start(["exec", await home.project(config)]);
  const living = home.start(["exec", await home.project(config)]);
  await Promise.all([killed.says("] asleep\n"), living.says("] asleep\n")]);
  killed.child.kill("SIGKILL");
  await killed.ended;
  expect(await leftovers(agentOf(killed.stdout))).toBeGreaterThan(0);

  const next = await home.tell(
    "version: 2.1\njobs: {ok: {machine: true, steps: [run: echo ok]}}\nworkflows: {w: {jobs: [ok]}}\n",
  );

  expect(next.code).toBe(0);
  expect(await leftovers(agentOf(killed.stdout))).toBe(0);
  expect(await leftovers(agentOf(living.stdout))).toBeGreaterThan(0);
  living.child.kill("SIGTERM");
  expect((await living.ended).code).toBe(130);
  expect(await leftovers(agentOf(living.stdout))).toBe(0);
});

test("an engine that goes away in mid-run is told, and what it kept is removed at the next run", async () => {
  await using proxy = await EngineProxy.open(home.directory);
  const run = home.start(["exec", await home.project(stubborn("exit 0"))], { env: { DOCKER_HOST: proxy.dockerHost } });
  await run.says("] asleep\n");

  proxy.goAway();

  const { code, stdout } = await run.ended;
  expect(code).toBe(3);
  expect(stdout).toMatch(/the engine is gone|infrastructure/);
  await home.tell("version: 2.1\njobs: {ok: {machine: true, steps: [run: echo ok]}}\nworkflows: {w: {jobs: [ok]}}\n");
  expect(await leftovers(agentOf(stdout))).toBe(0);
});
