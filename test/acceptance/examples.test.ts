import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { leavesNothingBehind } from "../docker/leaves-nothing-behind.ts";
import { sharedHome } from "./support/fixtures.ts";
import { examples, type Finished, told } from "./support/program.ts";

leavesNothingBehind();

const home = await sharedHome();

describe("the example pipeline", () => {
  let first: Finished;

  beforeAll(async () => {
    first = await home.exec([join(examples, "pipeline")]);
  });

  test("is green, and says what every job did", () => {
    expect(first.code).toBe(0);
    expect(first.stdout).toContain("[prepare] cache miss: building");
    expect(first.stdout).toContain("[lint] 20 words, all of them well-formed");
    expect(first.stdout).toMatch(/✓ count +success +[\d.]+s +3 tasks, 3\/3 tests passed\n/);
    expect(first.stdout).toMatch(/✓ report +success +[\d.]+s +1 artifact\n/);
    expect(first.stdout).toContain("4 success");
    expect(first.stderr).toBe("");
  });

  test("leaves an artifact into which all three parallel tasks went, and says where", async () => {
    const directory = /^artifacts: (.+)$/m.exec(first.stdout)?.[1] ?? "";

    expect(directory).toBe(join(home.dataDirectory, "artifacts", "1"));
    expect(await readFile(join(directory, "report", "0", "report", "counts.txt"), "utf8")).toBe(
      "node 0 of 3: 6 words\nnode 1 of 3: 7 words\nnode 2 of 3: 7 words\n",
    );
  });

  test("hits its cache the second time, and fans out before it fans in", async () => {
    const second = await home.exec([join(examples, "pipeline"), "--json"]);

    const { events, story } = told(second.stdout);
    expect(second.code).toBe(0);
    expect(story.job("prepare")?.output).toContain("cache hit: nothing to build");
    expect(story.job("count")?.tests).toEqual({ total: 3, failed: 0 });
    expect(story.job("report")?.artifacts).toEqual(["0/report/counts.txt"]);
    const id = (name: string) => [...story.jobs].find(([, job]) => job.name === name)?.[0];
    const jobs = events.filter((event) => event.type === "job");
    const at = (name: string, status: string) => jobs.findIndex((job) => job.id === id(name) && job.status === status);
    expect(at("count", "queued")).toBeGreaterThanOrEqual(at("prepare", "success"));
    expect(at("report", "running")).toBeGreaterThan(at("count", "success"));
    expect(at("report", "running")).toBeGreaterThan(at("lint", "success"));
  });
});

test("the failing example is red: which step, its code, what ran because of it, and what did not run", async () => {
  const { code, stdout, stderr } = await home.exec([join(examples, "failing")]);

  expect(code).toBe(1);
  expect(stdout).toContain("[test] not ok 2 - subtracts: expected 1, got 3\n");
  expect(stdout).toContain("[test] ✗ Run the tests: exit code 7\n");
  expect(stdout).toContain("[test] this runs because a step before it failed\n");
  expect(stdout).not.toContain("never reached");
  expect(stdout).toMatch(/- deploy +not_run +test ended as failed/);
  expect(stdout).toContain("1 success, 1 failed, 1 not_run");
  expect(stderr).toBe("");
});

test("the example of a self-hosted runner runs as it is", async () => {
  const { code, stdout } = await home.exec([join(examples, "runner")]);

  expect(code).toBe(0);
  expect(stdout).toContain("[runner] Hi I'm on Runners!\n");
});

test("an uncommitted change is in, an ignored file is out, and names and modes survive", async () => {
  const directory = await home.project(
    `version: 2.1
jobs:
  look:
    machine: true
    steps:
      - checkout
      - run: cat new.txt; ls -A; stat -c %a run.sh; cat "odd name\\$"*; git status --short | sort
workflows: {main: {jobs: [look]}}
`,
    { "new.txt": "brand new\n", "run.sh": "", "odd name$é": "odd\n", ignored: "x", ".gitignore": "ignored\n" },
  );
  const { execFileSync } = await import("node:child_process");
  execFileSync("sh", ["-c", "git init -q && chmod 755 run.sh"], { cwd: directory });

  const { code, stdout } = await home.exec([directory, "--json"]);

  const { story } = told(stdout);
  expect(code).toBe(0);
  const output = story.job("look")?.output ?? "";
  expect(output).toContain("brand new\n");
  expect(output).toContain("755\nodd\n");
  expect(output).toContain("?? new.txt\n");
  expect(output).not.toMatch(/^ignored$/m);
});
