import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { playTask, runStep, startAgent, workOf } from "../../../test/fakes/task-agent.ts";

function isAlive(pid: string): boolean {
  try {
    // A zombie that nobody has waited for yet is dead.
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid.trim()}/status`, "utf8"));
  } catch {
    return false;
  }
}

async function gone(pid: string): Promise<void> {
  await expect.poll(() => isAlive(pid), { timeout: 5000 }).toBe(false);
}

describe("a script", () => {
  test("runs with bash, stops at the first failure, also in a pipeline", async () => {
    await using agent = await playTask(["echo $0 $-; false | true; echo not reached"]);

    expect(agent.launch.output(100)).toMatch(/^\/bin\/bash [a-zA-Z]*e/);
    expect(agent.launch.output(100)).not.toContain("not reached");
    expect(agent.launch.outcomes()[100]).toEqual({ kind: "exited", code: 1 });
  });

  test("gets the image's, the work's and the step's variables, later ones first", async () => {
    const step = runStep('echo "$FROM_IMAGE $A $B $PWD $HOME"', { environment: { B: "step" } });

    await using agent = await playTask([step], { environment: { A: "work", B: "work" } });

    expect(agent.launch.output(100)).toBe(`image work step ${agent.workspace} ${agent.home}\n`);
  });

  test("can open its output by name, which a socket would not allow", async () => {
    await using agent = await playTask(["echo one >/dev/stdout; echo two | tee /dev/stderr"]);

    expect(agent.launch.output(100, "stdout")).toBe("one\ntwo\n");
    expect(agent.launch.output(100, "stderr")).toBe("two\n");
  });

  test("of over 128 KiB goes through a file", async () => {
    await using agent = await playTask([`: ${"x".repeat(200_000)}; echo done`]);

    expect(agent.launch.output(100)).toBe("done\n");
  });

  test("passes variables to later steps through BASH_ENV", async () => {
    await using agent = await playTask(["echo 'export X=passed' >> \"$BASH_ENV\"", 'echo "$X"']);

    expect(agent.launch.output(101)).toBe("passed\n");
  });

  test("runs in the directory that the step names, made where it is missing", async () => {
    await using agent = await playTask([
      runStep("pwd", { workingDirectory: "sub/dir" }),
      runStep("pwd", { workingDirectory: "~/other" }),
    ]);

    expect(agent.launch.output(100)).toBe(`${agent.workspace}/sub/dir\n`);
    expect(agent.launch.output(101)).toBe(`${agent.home}/other\n`);
  });

  test("is given to the shell that the step names, quotes and all", async () => {
    await using agent = await playTask([runStep("echo $0 $1", { shell: "/bin/sh -c 'echo \"$0\" x'" })]);

    expect(agent.launch.output(100)).toBe("-c x\n");
  });

  test.each([
    [
      "a shell that is not there",
      runStep("x", { shell: "/no/such/shell -e" }),
      /shell \/no\/such\/shell does not exist/,
    ],
    ["a directory that is a file", runStep("x", { workingDirectory: "/dev/null" }), /\/dev\/null.*there is a file/],
  ])("fails in words for %s", async (_name, step, words) => {
    await using agent = await playTask([step]);

    expect(agent.launch.outcomes()[100]).toMatchObject({ kind: "failed", message: expect.stringMatching(words) });
  });

  test("that a signal has ended is told with the signal", async () => {
    await using agent = await playTask(["kill -SEGV $$"]);

    expect(agent.launch.outcomes()[100]).toEqual({ kind: "exited", code: 139, signal: "SIGSEGV" });
  });

  test("is run again as often as the step allows", async () => {
    const step = runStep('echo run >> log; test "$(wc -l < log)" = 3', { maxAutoReruns: 3 });

    await using agent = await playTask([step]);

    expect(readFileSync(join(agent.workspace, "log"), "utf8")).toBe("run\nrun\nrun\n");
    expect(agent.launch.outcomes()[100]).toEqual({ kind: "succeeded" });
  });
});

describe("processes", () => {
  test("take their whole group with them, and do not keep the step open", async () => {
    await using agent = await playTask(["sleep 1000 & echo $!", "echo next"]);

    await gone(agent.launch.output(100));
    expect(agent.launch.output(101)).toBe("next\n");
  });

  test("that left the group do not hold up the step", async () => {
    await using agent = await playTask(["setsid sleep 3 & echo out"]);

    expect(agent.launch.output(100)).toBe("out\n");
  });

  test("get SIGTERM on cancel, and then nothing more is run", async () => {
    await using agent = startAgent();
    const trap = "trap 'echo bye; exit 3' TERM; echo up; while :; do sleep 0.05; done";
    agent.launch.handOver(workOf([runStep(trap), runStep("echo no", { when: "always" })]));
    await agent.launch.until(() => agent.launch.output(100).includes("up"));

    agent.launch.cancel();

    expect(await agent.launch.ended()).toMatchObject({ status: "canceled" });
    expect(agent.launch.output(100)).toContain("bye");
    expect(agent.launch.outcomes()).toEqual({ 100: { kind: "canceled" } });
  });

  test("that ignore SIGTERM are killed after the grace, at once on a second cancel", async () => {
    await using agent = startAgent();
    const stubborn = "trap '' TERM; echo up; while :; do sleep 0.05; done";
    agent.launch.handOver(workOf([stubborn], { killGraceMs: 600_000 }));
    await agent.launch.until(() => agent.launch.output(100).includes("up"));

    agent.launch.cancel();
    agent.launch.cancel();

    expect(await agent.launch.ended()).toMatchObject({ status: "canceled" });
  });

  test("are ended when they are silent for too long, and the task fails", async () => {
    await using agent = await playTask([
      runStep("echo a; sleep 1000", { noOutputTimeoutMs: 300 }),
      runStep("echo after", { when: "on_fail" }),
    ]);

    expect(agent.launch.outcomes()[100]).toEqual({ kind: "timed-out", limit: "no-output", afterMs: 300 });
    expect(agent.launch.output(101)).toBe("after\n");
    expect(await agent.launch.ended()).toMatchObject({ status: "failed" });
  });

  test("are ended when the job's time is over, and nothing more is run", async () => {
    await using agent = await playTask(["sleep 1000", runStep("echo no", { when: "always" })], { maxRunTimeMs: 300 });

    expect(agent.launch.outcomes()).toEqual({ 100: { kind: "timed-out", limit: "run-time", afterMs: 300 } });
    expect(await agent.launch.ended()).toMatchObject({ status: "timedout" });
  });

  test("in the background go on beside later steps, and end with the task", async () => {
    await using agent = await playTask([
      runStep("echo $$ > pid; echo started; sleep 1000", { background: true }),
      "until test -s pid; do sleep 0.01; done; kill -0 $(cat pid) && echo alive",
    ]);

    expect(agent.launch.output(101)).toBe("alive\n");
    expect(agent.launch.outcomes()).toEqual({ 100: { kind: "succeeded" }, 101: { kind: "succeeded" } });
    await gone(readFileSync(join(agent.workspace, "pid"), "utf8"));
  });
});

describe("the order of steps", () => {
  test("after a failure only what is meant for it is run, and reports", async () => {
    await using agent = await playTask([
      runStep("echo on_fail", { when: "on_fail" }),
      "exit 7",
      "echo no",
      runStep("echo always", { when: "always" }),
      runStep("echo on_fail", { when: "on_fail" }),
      { type: "store_artifacts", name: "artifacts", path: "nothing" },
      { type: "store_test_results", name: "results", path: "nothing" },
    ]);

    expect(Object.keys(agent.launch.outcomes())).toEqual(["101", "103", "104", "105", "106"]);
    expect(await agent.launch.ended()).toMatchObject({ status: "failed", message: 'step "exit 7" exited with code 7' });
  });

  test("`circleci-agent step halt` ends the task well", async () => {
    await using agent = await playTask(["circleci-agent step halt; echo rest of the step", "echo no"]);

    expect(agent.launch.outcomes()).toEqual({ 100: { kind: "succeeded" } });
    expect(await agent.launch.ended()).toMatchObject({ status: "success" });
  });

  test("a step that is not supported fails or only says so", async () => {
    const unsupported = { type: "unsupported", name: "x", reason: "no remote docker here" } as const;

    await using agent = await playTask([
      { ...unsupported, fails: false },
      { ...unsupported, fails: true },
    ]);

    expect(agent.launch.output(100)).toBe("no remote docker here\n");
    expect(agent.launch.outcomes()[101]).toEqual({ kind: "failed", message: "no remote docker here" });
  });
});

describe("output", () => {
  test("is stored byte for byte, random bytes and NULs too", async () => {
    await using agent = await playTask(["head -c 3000000 /dev/urandom > f; cat f; printf 'a\\0b'"]);

    const file = readFileSync(join(agent.workspace, "f"));
    expect(agent.launch.outputBytes(100).equals(Buffer.concat([file, Buffer.from("a\0b")]))).toBe(true);
  });

  test("is cut at the limit with one notice, and the job goes on", async () => {
    await using agent = await playTask(["head -c 1000000 /dev/zero | tr '\\0' y; echo done > marker", "echo more"], {
      outputBytes: 1000,
    });

    const output = agent.launch.output();
    expect(output.slice(0, 1000)).toBe("y".repeat(1000));
    expect(output.slice(1000)).toMatch(/^\n\[cofferdam\] The output limit of this job \(1000 bytes\)[^\n]*\n$/);
    expect(existsSync(join(agent.workspace, "marker"))).toBe(true);
    expect(await agent.launch.ended()).toMatchObject({ status: "success" });
  });

  test("is masked, names and messages too", async () => {
    const secret = "correct-horse";
    await using agent = await playTask(
      [
        runStep(`printf 'correct-'; sleep 0.1; printf 'horse\\n'; exit 1`, { name: `say ${secret}` }),
        runStep("x", { shell: `/bin/${secret}`, when: "always" }),
      ],
      { secrets: [secret] },
    );

    expect(agent.launch.output(100)).toBe("****\n");
    expect(JSON.stringify(agent.launch.records)).not.toContain(secret);
  });

  test("that nobody acknowledges does not stop the job, and is sent again", async () => {
    await using agent = startAgent({ acknowledges: false });
    agent.launch.handOver(workOf(["head -c 20000000 /dev/urandom > f; cat f", "echo second"]));
    await agent.launch.ended();

    agent.launch.options = {};
    agent.launch.attach(agent.stdin, agent.stdout);
    await agent.done;

    expect(agent.launch.repeated).toBe(agent.launch.records.length);
    const file = readFileSync(join(agent.workspace, "f"));
    expect(agent.launch.outputBytes(100).equals(file)).toBe(true);
    expect(agent.launch.output(101)).toBe("second\n");
  }, 30_000);

  test("goes on while nobody reads at all", async () => {
    await using agent = startAgent();
    agent.launch.handOver(workOf(["until test -e go; do sleep 0.01; done; head -c 30000000 /dev/zero; echo > marker"]));
    await agent.launch.until(() => agent.launch.accepted.length > 0);
    agent.launch.detach(agent.stdout);
    agent.stdout.pause();
    writeFileSync(join(agent.workspace, "go"), "");

    await expect.poll(() => existsSync(join(agent.workspace, "marker")), { timeout: 20_000 }).toBe(true);
    agent.launch.attach(agent.stdin, agent.stdout);

    await agent.launch.ended();
    expect(agent.launch.outputBytes(100).byteLength).toBe(30_000_000);
  }, 30_000);
});
