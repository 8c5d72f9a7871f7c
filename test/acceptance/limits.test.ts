import { describe, expect, test } from "vitest";
import { Network } from "../../src/protocol/task.ts";
import { leavesNothingBehind } from "../docker/leaves-nothing-behind.ts";
import { noNetwork } from "../fakes/tasks.ts";
import { sharedTree } from "./support/fixtures.ts";
import { oneJob, play, stepsOf } from "./support/stage.ts";

leavesNothingBehind();

const mebibyte = 1024 ** 2;
const tree = await sharedTree({ "lock.txt": "1\n" });

const circuit = (executor: string): string => `version: 2.1
jobs:
  first:
    ${executor}
    steps:
      - checkout
      - run: mkdir -p out && cp lock.txt out/
      - save_cache: {key: 'k-{{ checksum "lock.txt" }}', paths: [out]}
      - persist_to_workspace: {root: ., paths: [out]}
  second:
    ${executor}
    steps:
      - checkout
      - restore_cache: {keys: ['k-{{ checksum "lock.txt" }}']}
      - run: {name: cache, command: cmp out/lock.txt lock.txt}
      - attach_workspace: {at: attached}
      - run: {name: workspace, command: cmp attached/out/lock.txt lock.txt}
      - run: {name: reach, command: "cat /proc/net/dev; cat /proc/net/route"}
      - store_artifacts: {path: attached}
workflows: {w: {jobs: [first, second: {requires: [first]}]}}
`;

describe("with no network at all", () => {
  test.each([
    ["machine", "machine: true"],
    ["docker", 'docker: [{image: "busybox:latest"}]'],
  ])("checkout, cache, workspace and artifacts work in a %s job", async (_name, executor) => {
    const { story } = await play(circuit(executor), { tree, route: { network: noNetwork } });

    expect(story.job("second")?.messages).toEqual([]);
    expect(story.job("second")?.status).toBe("success");
    expect(story.job("second")?.artifacts).toEqual(["0/attached/out/lock.txt"]);
    expect(story.job("second")?.output).toContain("lo:");
    expect(story.job("second")?.output).not.toContain("eth0");
  });
});

describe("strict isolation", () => {
  test("leaves every step working, without root, capabilities, new privileges or a writable root", async () => {
    const { story } = await play(circuit('docker: [{image: "debian:bookworm-slim"}]'), {
      tree,
      route: { isolation: "strict" },
    });
    const look =
      "run: {name: look, command: \"id -u; grep -E 'CapEff|CapBnd|NoNewPrivs' /proc/self/status; touch /x 2>/dev/null || echo read-only; touch here && echo writable\"}";
    const walls = await play(oneJob('docker: [{image: "debian:bookworm-slim"}]', [look]), {
      route: { isolation: "strict" },
    });

    expect(story.job("second")?.messages).toEqual([]);
    expect(story.job("second")?.status).toBe("success");
    const output = walls.story.job("build")?.output ?? "";
    expect(output).toMatch(/^65534$/m);
    expect(output).toMatch(/CapBnd:\s0+$/m);
    expect(output).toMatch(/NoNewPrivs:\s1/);
    expect(output).toContain("read-only\nwritable\n");
  });
});

describe("a limit that is reached is told in words, and fails the step, not the machine:", () => {
  test.each([
    ["in memory", "memory"],
    ["on disk", "disk"],
  ] as const)("a workspace %s that is full", async (_name, workspaceMedium) => {
    const steps = [
      'run: {name: fill, command: "dd if=/dev/zero of=big bs=1M count=200 && echo all && sleep 600"}',
      'run: {name: after, when: always, command: "rm -f big; echo after"}',
    ];

    const { story } = await play(oneJob("machine: true", steps), {
      route: { limits: { workspaceBytes: 64 * mebibyte, workspaceMedium } },
    });

    const job = story.job("build");
    expect(job?.status).toBe("failed");
    expect(`${job?.output}${job?.messages.join("\n")}`).toMatch(
      /workspace .*(is full|holds \d+ MiB, and its limit is 64 MiB)/,
    );
    expect(job?.output).toContain("after\n");
  });

  test("memory, where only the step's process is killed", async () => {
    const steps = [
      'run: {name: eat, command: "tail /dev/zero"}',
      "run: {name: after, when: always, command: echo after}",
    ];

    const { story } = await play(oneJob("machine: true", steps), {
      route: { limits: { memoryBytes: 160 * mebibyte } },
    });

    const job = story.job("build");
    expect(job?.status).toBe("failed");
    expect(`${job?.output}${job?.messages.join("\n")}`).toMatch(/out of memory|memory limit/i);
  });

  test("processes", async () => {
    const fork = 'run: {name: fork, shell: /bin/sh -e, command: "for i in $(seq 200); do sleep 600 & done; echo all"}';

    const { story } = await play(oneJob("machine: true", [fork]), { route: { limits: { pids: 60 } } });

    expect(story.job("build")?.status).toBe("failed");
    expect(story.job("build")?.output).toMatch(/fork/);
  });

  test("the run time of the whole task", async () => {
    const steps = ["run: {name: long, command: sleep 600}", "run: {name: never, when: always, command: echo never}"];

    const { story } = await play(oneJob("machine: true", steps), { route: { maxRunTimeMs: 1500 } });

    expect(story.job("build")?.status).toBe("timedout");
    expect(stepsOf(story, "build")).toEqual({ long: "timed-out run-time" });
    expect(story.job("build")?.messages.join("\n")).toContain("run time is limited to 1.5 s");
  });
});

describe("cancel", () => {
  test("reaches a running step, which may clean up, and nothing runs after it", async () => {
    const steps = [
      `run: {name: long, command: "trap 'echo cleaning; exit 0' TERM; echo up; while :; do sleep 600 & wait $!; done"}`,
      "run: {name: never, when: always, command: echo never}",
    ];

    const { story, events } = await play(oneJob("machine: true", steps), {
      onEvent: async (event, { controlPlane, pipelineId }) => {
        if (event.type === "output" && Buffer.from(event.data, "base64").toString() === "up\n")
          await controlPlane.cancelPipeline(pipelineId, "changed my mind");
      },
    });

    expect(story.job("build")?.status).toBe("canceled");
    expect(story.job("build")?.output).toContain("cleaning\n");
    expect(stepsOf(story, "build")).toEqual({ long: "canceled" });
    const ended = events.findIndex((event) => event.type === "step-ended" && event.step === 100);
    const taskEnded = events.findIndex((event) => event.type === "task" && event.status === "canceled");
    expect(ended).toBeGreaterThan(0);
    expect(taskEnded).toBeGreaterThan(ended);
  });
});

describe("services", () => {
  const service = `docker:
      - image: debian:bookworm-slim
      - image: busybox:latest
        name: greeter
        command: ["sh", "-c", "mkdir /www && echo hello from $WHO > /www/index.html && echo serving && exec httpd -f -p 8080 -h /www"]
        environment: {WHO: a service}`;
  const fetch = (host: string): string =>
    `run: {name: fetch ${host}, shell: /bin/bash -eo pipefail, command: "until exec 3<>/dev/tcp/${host}/8080; do :; done 2>/dev/null; printf 'GET / HTTP/1.0\\\\r\\\\n\\\\r\\\\n' >&3; cat <&3"}`;

  test.each([Network.parse({}), noNetwork])(
    "are on localhost and under their name, with network $mode, and their logs are shown",
    async (network) => {
      const { story } = await play(oneJob(service, [fetch("localhost"), fetch("greeter")]), { route: { network } });

      const job = story.job("build");
      expect(job?.messages).toEqual([]);
      expect(job?.status).toBe("success");
      expect(job?.output.match(/hello from a service/g)?.length).toBe(2);
      expect(job?.output).toContain("serving\n");
    },
  );
});
