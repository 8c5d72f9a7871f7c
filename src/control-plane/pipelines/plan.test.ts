import { describe, expect, test } from "vitest";
import type { CompiledConfig, CompiledInvocation } from "../../config/compiled.ts";
import { passesFilters } from "./filters.ts";
import { planWorkflows } from "./plan.ts";

function config(jobs: CompiledInvocation[]): CompiledConfig {
  const body = { machine: true as const, steps: [] };
  return { jobs: { a: body, b: body, c: body, d: body }, workflows: { w: { jobs } } };
}

function names(
  jobs: CompiledInvocation[],
  options: Parameters<typeof planWorkflows>[1] = { reference: { branch: "main" } },
) {
  return planWorkflows(config(jobs), options).flatMap((workflow) => workflow.jobs.map((job) => job.name));
}

describe("planning", () => {
  test("puts each job after those that it requires, else as written", () => {
    expect(names([{ a: { requires: ["c"] } }, "b", "c"])).toEqual(["b", "c", "a"]);
  });

  test("leaves out what the branch leaves out, and what required only that", () => {
    const jobs: CompiledInvocation[] = [
      { a: { filters: { branches: { ignore: "main" } } } },
      { b: { requires: ["a"] } },
      { c: { requires: ["a", "d"] } },
      "d",
    ];

    expect(names(jobs)).toEqual(["d", "c"]);
  });

  test("runs one job with all that it requires", () => {
    const only = { reference: { branch: "main" }, only: { job: "b" } };

    expect(names(["a", { b: { requires: ["a"] } }, { c: { requires: ["b"] } }, "d"], only)).toEqual(["a", "b"]);
  });

  test("reads what a requirement has to end as", () => {
    const [workflow] = planWorkflows(
      config(["a", { b: { requires: [{ a: ["failed", "canceled"] }] } }, { c: { requires: [{ a: "terminal" }] } }]),
      {
        reference: {},
      },
    );

    expect(workflow?.jobs.map((job) => job.requires[0]?.statuses.length)).toEqual([undefined, 2, 5]);
  });

  test("knows an approval that has no job of its name", () => {
    const [workflow] = planWorkflows(config([{ hold: { type: "approval" } }]), { reference: {} });

    expect(workflow?.jobs).toEqual([{ name: "hold", type: "approval", requires: [], contexts: [] }]);
  });

  test("does not run a scheduled workflow unless it is asked for", () => {
    const scheduled: CompiledConfig = {
      ...config([]),
      workflows: { nightly: { jobs: ["a"], triggers: [{ schedule: { cron: "0 0 * * *" } }] } },
    };

    expect(planWorkflows(scheduled, { reference: {} })).toEqual([
      { name: "nightly", jobs: [], maxAutoReruns: 0, notRun: expect.stringContaining("it has a schedule (0 0 * * *)") },
    ]);
    expect(planWorkflows(scheduled, { reference: {}, only: { workflow: "nightly" } })).toHaveLength(1);
  });

  test("names the workflows that there are when another one is asked for", () => {
    expect(() => names(["a"], { reference: {}, only: { workflow: "x" } })).toThrow(
      'there is no workflow "x"; there is w',
    );
  });

  test("says why nothing of a workflow runs", () => {
    const [workflow] = planWorkflows(config([{ a: { filters: { branches: { only: "main" } } } }]), {
      reference: { branch: "other" },
    });

    expect(workflow).toMatchObject({ jobs: [], notRun: "its filters leave no job in for branch other" });
  });

  test("knows the lock of a serial group, and of a lock job", () => {
    const locks: CompiledConfig = {
      jobs: { take: { type: "lock", key: "db", steps: [] }, a: { machine: true, steps: [] } },
      workflows: { w: { jobs: ["take", { a: { "serial-group": "deploy" } }] } },
    };

    expect(planWorkflows(locks, { reference: {} })[0]?.jobs.map(({ lock }) => lock)).toEqual(["db", "deploy"]);
  });

  test("refuses jobs that wait for each other", () => {
    expect(() => names([{ a: { requires: ["b"] } }, { b: { requires: ["a"] } }])).toThrow("wait for each other: a, b");
  });
});

describe("filters", () => {
  test.each([
    ["no filter, a branch", undefined, { branch: "main" }, true],
    ["no filter, a tag", undefined, { tag: "v1" }, false],
    ["the very name", { branches: { only: "main" } }, { branch: "main" }, true],
    ["another name", { branches: { only: "main" } }, { branch: "mainline" }, false],
    ["an expression for the whole name", { branches: { only: "/release-.*/" } }, { branch: "release-1" }, true],
    ["an expression for a part of the name", { branches: { only: "/release/" } }, { branch: "release-1" }, false],
    ["a list", { branches: { only: ["x", "/ma.n/"] } }, { branch: "main" }, true],
    ["an ignored name", { branches: { ignore: "main" } }, { branch: "main" }, false],
    ["only wins over ignore", { branches: { only: "main", ignore: "main" } }, { branch: "main" }, true],
    ["tags alone leave branches in", { tags: { only: "/.*/" } }, { branch: "main" }, true],
    ["branches alone leave tags out", { branches: { only: "/.*/" } }, { tag: "v1" }, false],
    ["a tag", { tags: { only: "/v.*/" } }, { tag: "v1" }, true],
    ["no branch, and one is asked for", { branches: { only: "main" } }, {}, false],
    ["an expression over the branch", 'pipeline.git.branch == "main"', { branch: "main" }, true],
    ["an expression over the tag", 'pipeline.git.tag starts-with "v"', { branch: "main" }, false],
    ["an expression that was decided before", "false", { branch: "main" }, false],
    ["a pattern that is none", { branches: { only: "/(/" } }, { branch: "(" }, false],
  ])("%s", (_title, filters, reference, expected) => {
    expect(passesFilters(filters, reference)).toBe(expected);
  });

  test("refuses an expression that cannot be decided", () => {
    expect(() => passesFilters("pipeline.number == 1", {})).toThrow(
      'the filter "pipeline.number == 1" cannot be decided',
    );
  });
});
