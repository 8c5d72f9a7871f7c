import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { leavesNothingBehind } from "../docker/leaves-nothing-behind.ts";
import { sharedHome } from "./support/fixtures.ts";
import { told } from "./support/program.ts";

leavesNothingBehind();

const home = await sharedHome();

const statuses = (stdout: string): Record<string, string> =>
  Object.fromEntries([...told(stdout).story.jobs.values()].map((job) => [job.name, job.status]));

const graph = `version: 2.1
parameters:
  greeting: {type: string, default: hello}
  times: {type: integer, default: 1}
  loud: {type: boolean, default: false}
jobs:
  say:
    parameters: {what: {type: string}}
    machine: true
    steps:
      - run: for i in $(seq << pipeline.parameters.times >>); do echo "<< parameters.what >> << pipeline.parameters.greeting >>"; done
      - when:
          condition: << pipeline.parameters.loud >>
          steps: [run: echo LOUD]
workflows:
  first:
    jobs:
      - say: {name: a, what: a}
      - say: {name: b, what: b, requires: [a]}
      - say: {name: c, what: c}
  second:
    jobs:
      - say: {name: d, what: d}
`;

describe("what is run", () => {
  test("is one workflow with --workflow, with parameters as typed with --param", async () => {
    const directory = await home.project(graph);

    const args = ["--workflow", "second", "--param", "greeting=good day", "--param", "times=2", "-p", "loud=true"];
    const { code, stdout } = await home.exec([directory, "--json", ...args]);

    expect(code).toBe(0);
    expect(statuses(stdout)).toEqual({ d: "success" });
    expect(told(stdout).story.job("d")?.output).toContain("d good day\nd good day\nLOUD\n");
  });

  test("is one job and what it requires with --job", async () => {
    const { code, stdout } = await home.exec([await home.project(graph), "--json", "--job", "b"]);

    expect(code).toBe(0);
    expect(statuses(stdout)).toEqual({ a: "success", b: "success" });
  });

  test("can be a config on standard input, over the files of the directory", async () => {
    const directory = await home.project("not: {yaml", { "here.txt": "here\n" });
    const stdin =
      "version: 2.1\njobs: {build: {machine: true, steps: [checkout, run: cat here.txt]}}\nworkflows: {w: {jobs: [build]}}\n";

    const { code, stdout } = await home.exec([directory, "--config", "-"], { stdin });

    expect(code).toBe(0);
    expect(stdout).toContain("[build] here\n");
  });

  test("can wait for a person: --approve lets it pass, and without it the run ends with that said", async () => {
    const directory = await home.project(`version: 2.1
jobs: {build: {machine: true, steps: [run: echo built]}, deploy: {machine: true, steps: [run: echo deployed]}}
workflows:
  w:
    jobs:
      - build
      - hold: {type: approval, requires: [build]}
      - deploy: {requires: [hold]}
`);

    const approved = await home.exec([directory, "--json", "--approve", "hold"]);
    const held = await home.exec([directory]);

    expect(approved.code).toBe(0);
    expect(statuses(approved.stdout)).toEqual({ build: "success", hold: "success", deploy: "success" });
    expect(held.stdout).toContain("waiting for approval: hold. To go on from there: --approve hold\n");
    expect(held.stdout).toMatch(/deploy +(canceled|not_run)/);
    expect(held.stdout).not.toContain("] deployed");
  });
});

describe("what is shown", () => {
  test("is every event as a line of JSON with --json, in the words of the protocol, each step's output without a gap", async () => {
    const { code, events, stderr } = await home.tell(graph, ["--workflow", "first"]);

    expect(code).toBe(0);
    expect(stderr).toBe("");
    expect(events.at(0)?.type).toBe("pipeline");
    expect(events.at(-1)?.type).toBe("pipeline-ended");
    const next = new Map<string, number>();
    for (const event of events) {
      if (event.type !== "output") continue;
      const step = `${event.taskId} ${event.step}`;
      expect(event.offset).toBe(next.get(step) ?? 0);
      next.set(step, event.offset + Buffer.byteLength(event.data, "base64"));
    }
    expect(next.size).toBe(6);
  });

  test("is the output of one job with --tail, beside how the others ended", async () => {
    const { code, stdout } = await home.exec([await home.project(graph), "--workflow", "first", "--tail", "c"]);

    expect(code).toBe(0);
    expect(stdout).toContain("[c] c hello\n");
    expect(stdout).not.toContain("a hello");
    expect(stdout).toMatch(/^\[a\] success/m);
  });

  test("never moves the cursor or sets a title, whatever a job writes", async () => {
    const hostile = String.raw`printf '\033]0;title\007\033[2J\033[31mred\033[0m \233A \r\n'; printf '50%%\r100%%\n'`;
    const config = `version: 2.1\njobs: {build: {machine: true, steps: [run: {name: "n\\e[1A", command: ${JSON.stringify(hostile)}}]}}\nworkflows: {w: {jobs: [build]}}\n`;

    const { code, stdout } = await home.exec([await home.project(config)]);

    expect(code).toBe(0);
    expect(stdout).toContain("[build] 100%\n");
    expect(stdout).not.toMatch(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/);
  });
});

describe("project variables", () => {
  const secret = "s3cret-value-9f8e7d";

  test("reach the job, and never its output: whole, in two writes, encoded, or in a step's name", async () => {
    const half = secret.length / 2;
    const directory = await home.project(`version: 2.1
jobs:
  build:
    machine: true
    steps:
      - run: test "$TOKEN" = ${secret.slice(0, 5)}"${secret.slice(5)}" && echo got it
      - run: 'echo "whole: $TOKEN"'
      - run: 'printf "split: \${TOKEN:0:${Math.floor(half)}}"; sleep 0.3; echo "\${TOKEN:${Math.floor(half)}}"'
      - run: 'printf %s "$TOKEN" | base64; printf "x%s" "$TOKEN" | base64; printf "xy%s" "$TOKEN" | base64'
      - run: 'echo "$TOKEN" > secret.txt'
      - run: 'echo "<secret a=\\"$TOKEN\\"/>"; exit 3'
      - store_artifacts: {path: secret.txt}
workflows: {w: {jobs: [build]}}
`);

    const plain = await home.exec([directory, "--env", `TOKEN=${secret}`]);
    const json = await home.exec([directory, "--json", "-e", "TOKEN"], { env: { TOKEN: secret } });

    const output = told(json.stdout).story.job("build")?.output ?? "";
    expect([plain.code, json.code]).toEqual([1, 1]);
    expect(output).toContain("got it\n");
    expect(output).toMatch(/^whole: \*+$/m);
    expect(output).toMatch(/^split: \*+$/m);
    const forms = [0, 1, 2].map((shift) => encodedWithin(secret, shift));
    for (const form of [secret, ...forms]) {
      expect(plain.stdout).not.toContain(form);
      expect(output).not.toContain(form);
    }
    const artifacts = /^artifacts: (.+)$/m.exec(plain.stdout)?.[1] ?? "";
    expect(await readFile(join(artifacts, "build", "0", "secret.txt"), "utf8")).toBe(`${secret}\n`);
  });

  test("are not kept in the clear where everybody can read them", async () => {
    const { execFileSync } = await import("node:child_process");
    const others = execFileSync("find", [home.dataDirectory, "-type", "f", "-perm", "/044"], { encoding: "utf8" });
    const mode = execFileSync("stat", ["-c", "%a", home.dataDirectory], { encoding: "utf8" });

    expect(mode.trim() === "700" || others === "").toBe(true);
  });
});

/** The part of the base64 of `prefix + text` that depends on nothing but the text. */
function encodedWithin(text: string, prefixLength: number): string {
  const encoded = Buffer.from("x".repeat(prefixLength) + text).toString("base64");
  return encoded.slice(Math.ceil((prefixLength * 4) / 3), Math.floor(((prefixLength + text.length) * 4) / 3));
}

describe("the exit code", () => {
  const bad = "version: 2.1\njobs: {build: {machine: true, steps: [run: true]}}\nworkflows: {w: {jobs: [biuld]}}\n";

  test.each([
    ["an unknown option", ["exec", "--nonsense"], /unknown option '--nonsense'/],
    ["an unknown command", ["exce"], /unknown command 'exce'/],
    ["a variable without a value", ["exec", "--env", "=x"], /not of the form name=value/],
    ["a variable that is not set", ["exec", "--env", "NOT_SET_HERE"], /NOT_SET_HERE is not set/],
    ["a directory without a config", ["exec", "/nowhere"], /no config at \/nowhere\/\.circleci\/config\.yml/],
  ])("is 2 for %s", async (_name, args, message) => {
    const { code, stderr, stdout } = await home.cofferdam(args);

    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toMatch(message);
    expect(stderr).not.toMatch(/^\s+at /m);
  });

  test.each([
    ["a workflow that is not there", ["--workflow", "nope"], /no workflow "nope".*first, second/s],
    ["a job that is not there", ["--job", "nope"], /has a job "nope"/],
    ["a parameter that is not there", ["--param", "nope=1"], /nope/],
    ["a parameter of another type", ["--param", "times=many"], /times|integer/],
  ])("is 2 for %s", async (_name, args, message) => {
    const { code, stderr, stdout } = await home.exec([await home.project(graph), ...args]);

    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toMatch(message);
  });

  test("is 2 for a config that does not compile", async () => {
    const { code, stderr } = await home.exec([await home.project(bad)]);

    expect(code).toBe(2);
    expect(stderr).toMatch(/config\.yml:3/);
  });

  test("is 0 for --help and --version, and help fits a screen", async () => {
    for (const args of [["--help"], ["exec", "--help"], ["config", "--help"], ["orb", "--help"], ["--version"]]) {
      const { code, stdout } = await home.cofferdam(args);

      expect(code).toBe(0);
      expect(stdout.split("\n").length).toBeLessThanOrEqual(40);
    }
  });
});
