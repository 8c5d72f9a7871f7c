import { expect, test } from "vitest";
import type { CompiledConfig, CompiledJob } from "../../config/compiled.ts";
import { ClassSettings } from "../../protocol/resource-class.ts";
import { makeTemplate } from "../tasks/template.ts";
import { firstContainers } from "./first-containers.ts";

const job = (image: string, more: Partial<CompiledJob> = {}): CompiledJob => ({
  docker: [{ image }],
  resource_class: "ns/class",
  steps: ["checkout"],
  ...more,
});

function pipeline(jobs: Record<string, CompiledJob>, invocations: CompiledConfig["workflows"][string]["jobs"]) {
  const config: CompiledConfig = { jobs, workflows: { main: { jobs: invocations } } };
  return { config, vcs: {}, environment: {} };
}

const route = (queue = "") => ({ queue, ...ClassSettings.parse({}) });

function images(given: ReturnType<typeof pipeline>, most = 10): (string | undefined)[] {
  return firstContainers(given, { route, most }).map((container) => container.images[0]?.image);
}

test("are those of the jobs that require nothing, approvals apart", () => {
  const jobs = { a: job("first"), b: job("second"), c: job("third") };

  const given = pipeline(jobs, ["a", { b: { requires: ["a"] } }, { hold: { type: "approval" } }, "c"]);

  expect(images(given)).toEqual(["first", "third"]);
});

test("are one for each parallel task, and never more than asked for", () => {
  const given = pipeline({ a: job("wide", { parallelism: 3 }), b: job("next") }, ["a", "b"]);

  expect(images(given)).toEqual(["wide", "wide", "wide", "next"]);
  expect(images(given, 2)).toEqual(["wide", "wide"]);
});

test("leave out a job that cannot run", () => {
  expect(images(pipeline({ a: { macos: {}, steps: [] }, b: job("runs") }, ["a", "b"]))).toEqual(["runs"]);
});

test("are what the tasks themselves will say", () => {
  const body = job("same", { working_directory: "/srv", environment: [{ A: "1" }] });
  const [container] = firstContainers(pipeline({ a: body }, ["a"]), { route, most: 1 });

  const { template } = makeTemplate({
    body,
    job: { id: "j", name: "a", number: 1 },
    workflow: { id: "w", name: "main" },
    pipeline: {
      id: "p",
      number: 1,
      project: { slug: "s", name: "n" },
      vcs: {},
      trigger: { type: "t", actor: "a" },
      environment: {},
      secretNames: [],
    },
    route,
  });

  expect(container).toEqual(template.container);
});
