import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { noNetwork } from "../../../test/fakes/tasks.ts";
import type { CompiledJob } from "../../config/compiled.ts";
import { Task } from "../../protocol/task.ts";
import type { Route } from "../control-plane.ts";
import { MalformedJob } from "./malformed.ts";
import { makeTask, makeTemplate } from "./template.ts";

const route: Route = {
  queue: "queue/of-class",
  limits: {
    memoryBytes: 1,
    cpus: 2,
    pids: 3,
    openFiles: 4,
    workspaceBytes: 5,
    workspaceMedium: "disk",
    outputBytes: 6,
  },
  isolation: "strict",
  network: noNetwork,
  pull: "always",
  allowedImages: ["a"],
  unsafeRetries: false,
  maxRunTimeMs: 7,
};

const pipeline = {
  id: "p",
  number: 12,
  project: { slug: "gh/acme/rocket", name: "rocket" },
  vcs: { branch: "main", revision: "0123abc", url: "https://me:hunter22@example.com/acme/rocket" },
  trigger: { type: "test", actor: "tester" },
  environment: { SHARED: "pipeline", CIRCLE_JOB: "not this", TOKEN: "s3cret", EMPTY: "" },
  secretNames: ["TOKEN", "EMPTY", "MISSING"],
};

function template(body: Partial<CompiledJob>, routing: typeof route | undefined = route) {
  return makeTemplate({
    body: { steps: [], ...body },
    job: { id: "j", name: "build", number: 34 },
    workflow: { id: "w", name: "all" },
    pipeline,
    route: () => routing,
  });
}

function task(body: Partial<CompiledJob>, nodeIndex = 0) {
  return makeTask(template(body).template, "t", { attempt: 2, nodeIndex });
}

describe("a task", () => {
  test("of a job that says little has CircleCI's defaults", () => {
    expect(task({ machine: true, steps: ["checkout"] })).toEqual({
      id: "t",
      attempt: 2,
      job: { id: "j", name: "build", number: 34 },
      workflow: { id: "w", name: "all" },
      pipeline: { id: "p", number: 12 },
      node: { index: 0, total: 1 },
      container: {
        resourceClass: "queue/of-class",
        executor: "machine",
        images: [],
        limits: route.limits,
        isolation: "strict",
        network: noNetwork,
        pull: "always",
        allowedImages: ["a"],
        workingDirectory: "~/project",
      },
      work: {
        environment: {
          CI: "true",
          CIRCLECI: "true",
          CIRCLE_BRANCH: "main",
          CIRCLE_BUILD_NUM: "34",
          CIRCLE_JOB: "build",
          CIRCLE_NODE_INDEX: "0",
          CIRCLE_NODE_TOTAL: "1",
          CIRCLE_PIPELINE_ID: "p",
          CIRCLE_PIPELINE_NUMBER: "12",
          CIRCLE_PROJECT_REPONAME: "rocket",
          CIRCLE_PROJECT_USERNAME: "acme",
          CIRCLE_REPOSITORY_URL: "https://example.com/acme/rocket",
          CIRCLE_SHA1: "0123abc",
          CIRCLE_USERNAME: "tester",
          CIRCLE_WORKFLOW_ID: "w",
          CIRCLE_WORKFLOW_JOB_ID: "j",
          CIRCLE_WORKFLOW_WORKSPACE_ID: "w",
          CIRCLE_WORKING_DIRECTORY: "~/project",
          EMPTY: "",
          SHARED: "pipeline",
          TOKEN: "s3cret",
        },
        secrets: ["s3cret"],
        workingDirectory: "~/project",
        steps: [{ type: "checkout", name: "Checkout code", method: "blobless" }],
        maxRunTimeMs: 7,
        killGraceMs: 10_000,
        workspaceBytes: 5,
        outputBytes: 6,
      },
    });
  });

  test("lets the job's variables win, later entries over earlier ones", () => {
    const { environment } = task({
      machine: true,
      environment: [{ SHARED: "first", CIRCLE_BRANCH: "own" }, { SHARED: "job" }],
    }).work;

    expect(environment).toMatchObject({ SHARED: "job", CIRCLE_BRANCH: "own" });
  });

  test("has its images as the config says", () => {
    const { container } = task({
      docker: [
        { image: "cimg/node:22", user: "node" },
        { image: "postgres:16", name: "db", environment: { POSTGRES_PASSWORD: "x" }, command: "postgres -c 'a=b c'" },
      ],
      resource_class: "large",
      working_directory: "/src",
      shell: "/bin/sh -e",
    });

    expect(container).toMatchObject({
      resourceClass: "large",
      executor: "docker",
      workingDirectory: "/src",
      images: [
        { image: "cimg/node:22", user: "node", environment: {} },
        {
          image: "postgres:16",
          name: "db",
          environment: { POSTGRES_PASSWORD: "x" },
          command: ["postgres", "-c", "a=b c"],
        },
      ],
    });
  });

  test("knows which of the parallel ones it is, and deploys on the first one alone", () => {
    const body: Partial<CompiledJob> = {
      machine: true,
      parallelism: 3,
      steps: [{ run: "test" }, { deploy: "ship" }],
    };
    const [first, last] = [task(body, 0), task(body, 2)];

    expect(last.node).toEqual({ index: 2, total: 3 });
    expect(last.work.environment).toMatchObject({ CIRCLE_NODE_INDEX: "2", CIRCLE_NODE_TOTAL: "3" });
    expect([first.work.steps.length, last.work.steps.length]).toEqual([2, 1]);
  });

  test.each<[Partial<CompiledJob>, string]>([
    [{ macos: { xcode: "15" } }, "for macOS, which cannot run here"],
    [{}, "no executor"],
    [{ docker: [] }, "has no image"],
    [{ docker: [null] as never }, "image 1 of the job"],
    [{ docker: [{ image: "a", aws_auth: { x: "y" } }] }, "image a is to be pulled with aws_auth"],
    [{ machine: true, resource_class: "windows.medium" }, "only Linux containers can"],
    [{ machine: true, parallelism: 0 }, "parallelism: Too small"],
    [{ machine: true, steps: [{ run: {} }] }, "step 1 (run) is malformed: command"],
  ])("cannot be made of %j, in words", (body, words) => {
    expect(() => template(body)).toThrow(words);
  });

  test("needs a class that exists", () => {
    const options = { job: { id: "j", name: "b", number: 1 }, workflow: { id: "w", name: "w" }, pipeline };
    const make = (more: Partial<CompiledJob>) => () =>
      makeTemplate({ ...options, body: { machine: true, steps: [], ...more }, route: () => undefined });

    expect(make({})).toThrow("no resource class is set");
    expect(make({ resource_class: "a/b" })).toThrow('there is no resource class "a/b" for machine jobs');
  });
});

const anyKey = fc.oneof(
  fc.constantFrom("docker", "machine", "steps", "environment", "privileged", "cap_add", "volumes", "network", "shell"),
  fc.string(),
);
const anyBody = fc.dictionary(anyKey, fc.jsonValue());

test("whatever a job says, its container's limits are those of its class", () => {
  fc.assert(
    fc.property(
      anyBody,
      fc.constantFrom<Partial<CompiledJob>>({ machine: true }, { docker: [{ image: "a" }] }),
      (body, executor) => {
        const made = tryTask({ ...body, steps: [], ...executor });
        if (made === undefined) return;

        const { limits, isolation, network, pull, allowedImages, ...rest } = made.container;

        const { limits: allowed } = route;
        expect({ limits, isolation, network }).toEqual({ limits: allowed, isolation: "strict", network: noNetwork });
        expect({ pull, allowedImages }).toEqual({ pull: "always", allowedImages: ["a"] });
        expect(Object.keys(rest).toSorted((a, b) => a.localeCompare(b))).toEqual([
          "executor",
          "images",
          "resourceClass",
          "workingDirectory",
        ]);
        expect(Task.safeParse(made).error).toBeUndefined();
      },
    ),
  );
});

/** Undefined where it is refused in words. */
function tryTask(body: CompiledJob) {
  try {
    return task(body);
  } catch (error) {
    if (error instanceof MalformedJob) return undefined;
    throw error;
  }
}

describe("what a job says and nothing here heeds", () => {
  test("is told by a first step that does not fail", () => {
    const { work } = task({
      machine: { image: "ubuntu-2204:current", docker_layer_caching: true },
      circleci_ip_ranges: true,
      retention: { caches: "3d" },
      resource_class: "arm.medium",
      steps: [{ run: "true" }, { deploy: "once" }, { store_artifacts: { path: "a", when: "on_fail" } }],
    });

    const [told, ...steps] = work.steps;
    expect(told).toMatchObject({ type: "unsupported", fails: false });
    for (const word of [
      "circleci_ip_ranges",
      "retention",
      "docker_layer_caching",
      "ubuntu-2204:current",
      "arm.medium",
      "on_fail",
    ])
      expect(told).toMatchObject({ reason: expect.stringContaining(word) });
    expect(steps).toMatchObject([{ command: "true" }, { command: "once" }, { path: "a" }]);
  });

  test("leaves the steps of other nodes as they are", () => {
    const body: Partial<CompiledJob> = {
      machine: true,
      circleci_ip_ranges: true,
      parallelism: 2,
      steps: [{ deploy: "once" }, { run: "true" }],
    };

    expect(task(body, 1).work.steps.map(({ type, name }) => `${type} ${name}`)).toEqual([
      "unsupported What is different from CircleCI here",
      "run true",
    ]);
  });
});
