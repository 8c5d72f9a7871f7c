import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parse } from "yaml";
import { type Run, runCommand } from "../../../test/fakes/command-line.ts";
import { configCommand } from "../config.ts";
import { orbCommand } from "../orb.ts";

let cwd: string;

const good = `version: 2.1
parameters:
  count: {type: integer, default: 1}
jobs:
  build:
    docker: [{image: cimg/base:stable}]
    parallelism: << pipeline.parameters.count >>
    steps: [checkout, {run: echo << pipeline.git.branch >>}]
  test:
    docker: [{image: cimg/base:stable}]
    steps: [checkout]
workflows:
  main:
    jobs: [build, {test: {requires: [build]}}]
`;
const bad = good.replace("requires: [build]", "requires: [biuld]").replace("steps: [checkout]", "steps: [chekout]");
const withOrb = `version: 2.1
orbs: {tools: acme/tools@1}
jobs:
  build:
    machine: true
    steps: [tools/greet]
workflows: {main: {jobs: [build]}}
`;

beforeAll(async () => {
  cwd = await mkdtemp(join(tmpdir(), "config-"));
  await mkdir(join(cwd, ".circleci"));
  await writeFile(join(cwd, ".circleci/config.yml"), good);
  await writeFile(join(cwd, "good.yml"), good);
  await writeFile(join(cwd, "bad.yml"), bad);
  await writeFile(join(cwd, "orb.yml"), withOrb);
  await writeFile(join(cwd, "values.json"), '{"pipeline": {"git": {"branch": "main"}}}');
  await mkdir(join(cwd, "store/acme/tools"), { recursive: true });
  await writeFile(join(cwd, "store/acme/tools/1.2.0.yml"), "commands:\n  greet:\n    steps: [{run: echo hello}]\n");
});
afterAll(() => rm(cwd, { recursive: true }));

async function config(args: string[], stdin?: string): Promise<Run> {
  return await runCommand(configCommand, args, { cwd, ...(stdin === undefined ? {} : { stdin }) });
}

describe("process", () => {
  test("prints the compiled config, from a file, standard input or the usual place", async () => {
    const runs = await Promise.all([
      config(["process", "good.yml"]),
      config(["process", "-"], good),
      config(["process"]),
    ]);

    for (const { code, stdout, stderr } of runs) {
      expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
      expect(parse(stdout)).toMatchObject({ version: 2, jobs: { build: { parallelism: 1 } } });
      expect(stdout).toContain("# Original config.yml file:\n# version: 2.1\n");
    }
  });

  test("takes pipeline parameters and values from files and from the command line", async () => {
    const values = ["--pipeline-values", "values.json", "--pipeline-parameters", "count=4"];

    const { stdout } = await config(["process", "good.yml", ...values]);

    expect(parse(stdout)).toMatchObject({
      jobs: { build: { parallelism: 4, steps: ["checkout", { run: { command: "echo main" } }] } },
    });
  });

  test("tells what is wrong on standard error, prints nothing else, and exits with 2", async () => {
    const { code, stdout, stderr } = await config(["process", "bad.yml"]);

    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toContain("bad.yml:11:13 error unknown-command\n");
    expect(stderr).toContain("Error calling workflow: 'main'\nError calling job: 'test'\n");
  });

  test("takes orbs from folders and names what they were resolved to", async () => {
    const { code, stdout } = await config(["process", "orb.yml", "--orb-dir", "store"]);

    expect(code).toBe(0);
    expect(stdout).toMatch(/^# Orb 'acme\/tools@1' resolved to 'acme\/tools@1\.2\.0'\n/);
    expect(await config(["process", "orb.yml"])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("unknown-orb"),
    });
  });

  test("a file that is not there is said to be so, without a trace", async () => {
    expect(await config(["process", "nowhere.yml"])).toEqual({
      code: 2,
      stdout: "",
      stderr: "cannot read nowhere.yml: there is no such file\n",
    });
  });
});

describe("validate", () => {
  test("says that a config is valid", async () => {
    expect(await config(["validate"])).toMatchObject({
      code: 0,
      stdout: "Config file at .circleci/config.yml is valid.\n",
    });
  });

  test("takes the file as CircleCI's command line does", async () => {
    expect(await config(["validate", "-c", "good.yml"])).toMatchObject({
      code: 0,
      stdout: "Config file at good.yml is valid.\n",
    });
  });

  test("as JSON gives one object a finding, of all files, with every key", async () => {
    const { code, stdout } = await config(["validate", "good.yml", "bad.yml", "--format", "json"]);

    const findings = JSON.parse(stdout) as Record<string, unknown>[];
    expect(code).toBe(2);
    expect(findings.map((one) => one["code"])).toEqual(["unknown-command", "unknown-requirement"]);
    expect(findings[1]).toEqual({
      code: "unknown-requirement",
      severity: "error",
      message: "Job 'test' requires 'biuld', which is the name of 0 other jobs in workflow 'main'",
      file: "bad.yml",
      line: 14,
      column: 38,
      endLine: 14,
      endColumn: 43,
      chain: ["Error calling workflow: 'main'"],
      hint: `Did you mean "build"?`,
      docs: "docs/diagnostics.md#unknown-requirement",
    });
  });

  test("without findings the JSON is an empty list", async () => {
    expect(await config(["validate", "-", "--format", "json"], good)).toEqual({ code: 0, stdout: "[]\n", stderr: "" });
  });

  test("as SARIF gives rules and results with places", async () => {
    const { stdout } = await config(["validate", "bad.yml", "--format", "sarif"]);

    const { runs } = JSON.parse(stdout) as { runs: { results: unknown[]; tool: { driver: { rules: unknown[] } } }[] };
    expect(runs[0]?.tool.driver.rules).toMatchObject([{ id: "unknown-command" }, { id: "unknown-requirement" }]);
    expect(runs[0]?.results[0]).toMatchObject({
      ruleId: "unknown-command",
      level: "error",
      locations: [
        { physicalLocation: { artifactLocation: { uri: "bad.yml" }, region: { startLine: 11, startColumn: 13 } } },
      ],
    });
  });
});

describe("eval", () => {
  test.each([
    ["1 + ", [], 2, { error: { errorType: "Scanner/UNEXPECTED_CHARACTER", lexeme: "+", charPos: 2 } }],
    ['pipeline.git.branch == "main"', ["--values", "values.json"], 0, true],
    ["a and b", ["--values", "a=1", "--values", "b=null"], 0, null],
    ["/x+/", [], 0, { pattern: "x+" }],
    ["", [], 2, { error: { errorType: "Parser/EXPECTED_EXPRESSION", tokenType: "EOF", lexeme: "", charPos: 0 } }],
    ["-5", ["--values", "a=1"], 2, { error: { errorType: "Scanner/UNEXPECTED_CHARACTER", lexeme: "-", charPos: 0 } }],
    ["9223372036854775807", [], 0, 9223372036854775807n],
  ] as [string, string[], number, unknown][])("%s", async (expression, options, code, value) => {
    const run = await config(["eval", expression, ...options]);

    expect(run.code).toBe(code);
    expect(run.stdout.trim()).toBe(typeof value === "bigint" ? String(value) : JSON.stringify(value));
  });

  test("an error is shown with a caret on standard error", async () => {
    const { stderr } = await config(["eval", "nobody.knows or true"]);

    expect(stderr).toBe(
      'Referred to a variable "nobody.knows" that does not exist:\nnobody.knows or true\n^^^^^^^^^^^^\n',
    );
  });
});

describe("graph", () => {
  test("draws a tree", async () => {
    expect(await config(["graph", "good.yml"])).toMatchObject({
      code: 0,
      stdout: "workflow main\n└─ build\n   └─ test\n",
    });
  });

  test("draws for Mermaid", async () => {
    const { stdout } = await config(["graph", "good.yml", "--format", "mermaid"]);

    expect(stdout).toContain("  w0j0 --> w0j1\n");
  });

  test("draws nothing of a config that does not compile", async () => {
    expect(await config(["graph", "bad.yml"])).toMatchObject({ code: 2, stdout: "" });
  });
});

describe("explain", () => {
  test("explains a code with a config that gives it, and lists all codes", async () => {
    const one = await config(["explain", "unknown-job"]);

    expect(one.stdout).toContain("unknown-job (error)\nA workflow names a job that is not defined.\n");
    expect(one.stdout).toContain("Cannot find a definition for job named biuld\n");
    expect((await config(["explain"])).stdout).toContain("unknown-job ");
  });

  test("a code that is none gets the nearest that is one", async () => {
    expect(await config(["explain", "unknown-jop"])).toMatchObject({
      code: 2,
      stderr: 'there is no code unknown-jop. Did you mean "unknown-job"?\n',
    });
  });
});

describe("orb", () => {
  const orb = async (args: string[], stdin = "") => await runCommand(orbCommand, args, { cwd, stdin });

  test("lists the orbs of a folder", async () => {
    expect((await orb(["list", "--orb-dir", "store"])).stdout).toBe("acme/tools  1.2.0\n");
    expect((await orb(["list", "other", "--orb-dir", "store", "--json"])).stdout).toBe("[]\n");
  });

  test("prints the text of an orb, and says what there is when it is not there", async () => {
    expect((await orb(["source", "acme/tools@1", "--orb-dir", "store"])).stdout).toContain("commands:\n  greet:");
    expect(await orb(["source", "acme/tools@2", "--orb-dir", "store"])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("There are: 1.2.0."),
    });
    expect(await orb(["source", "tools"])).toMatchObject({ code: 2 });
  });

  test("says what is wrong with an orb that nothing uses yet", async () => {
    const text = "commands:\n  greet:\n    steps: [chekout]\n";

    expect(await orb(["validate", "-"], text.replace("chekout", "checkout"))).toMatchObject({
      code: 0,
      stdout: "Orb at <stdin> is valid.\n",
    });
    expect(await orb(["validate", "-"], text)).toMatchObject({
      code: 2,
      stdout: expect.stringContaining("<stdin>:3:13 error unknown-command"),
    });
  });

  test("packs the folders of an orb", async () => {
    await mkdir(join(cwd, "src/commands"), { recursive: true });
    await writeFile(join(cwd, "src/@orb.yml"), "version: 2.1\n");
    await writeFile(join(cwd, "src/commands/greet.yml"), "steps: []\n");

    expect((await orb(["pack", "src"])).stdout).toBe("version: 2.1\ncommands:\n  greet:\n    steps: []\n");
  });
});

describe("help", () => {
  test.each([
    ["config", configCommand],
    ["orb", orbCommand],
  ] as const)("of every %s command fits 40 lines of 120 characters", async (_name, build) => {
    const never = build({ io: {} as never, exit: () => {} });
    for (const names of [[], ...never.commands.map((one) => [one.name()])]) {
      const { code, stdout } = await runCommand(build, [...names, "--help"]);

      expect(code).toBe(0);
      expect(stdout.split("\n").length).toBeLessThanOrEqual(40);
      expect(Math.max(...stdout.split("\n").map((line) => line.length))).toBeLessThanOrEqual(120);
    }
  });
});
