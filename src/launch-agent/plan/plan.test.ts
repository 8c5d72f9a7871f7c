import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { aTask, noNetwork } from "../../../test/fakes/tasks.ts";
import type { Image } from "../../engine/engine.ts";
import type { Task } from "../../protocol/task.ts";
import { type PlanInput, planService, planTask, type TaskPlan } from "./plan.ts";
import { isProblem } from "./problem.ts";

const image: Image = {
  id: "sha256:0123",
  architecture: "amd64",
  user: "",
  environment: {},
  entrypoint: ["/docker-entrypoint.sh"],
  command: ["serve"],
  labels: {},
  tags: [],
  digests: [],
};

function input(task: Task, changes: Partial<PlanInput> = {}): PlanInput {
  return {
    task,
    queuedFor: "ns/queue",
    image,
    account: { uid: 1001, gid: 1002, home: "/home/circleci" },
    agent: {
      labels: { "dev.cofferdam.agent": "agent-1" },
      architecture: "amd64",
      argv: ["/opt/cofferdam/node", "x.cjs"],
      volume: "agent-volume",
    },
    nowMs: 1_000_000,
    slackMs: 30 * 60_000,
    ...changes,
  };
}

function planned(task: Task, changes: Partial<PlanInput> = {}): TaskPlan {
  const plan = planTask(input(task, changes));
  if (isProblem(plan)) throw new Error(plan.problem);
  return plan;
}

const docker = (images: Partial<Task["container"]["images"][number]>[]): Partial<Task["container"]> => ({
  executor: "docker",
  images: images.map((spec) => ({ image: "node:24", environment: {}, ...spec })),
});

test("plans the whole container of a task", () => {
  expect(planned(aTask()).primary).toMatchInlineSnapshot(`
    {
      "command": [],
      "entrypoint": [
        "/opt/cofferdam/node",
        "x.cjs",
      ],
      "environment": {},
      "image": "sha256:0123",
      "isolation": "standard",
      "labels": {
        "dev.cofferdam.agent": "agent-1",
        "dev.cofferdam.attempt": "1",
        "dev.cofferdam.class": "ns/class",
        "dev.cofferdam.classes": "ns/queue",
        "dev.cofferdam.deadline": "6400000",
        "dev.cofferdam.role": "task",
        "dev.cofferdam.task": "task-1",
      },
      "limits": {
        "cpus": 1,
        "memoryBytes": 1073741824,
        "openFiles": 1024,
        "pids": 1000,
      },
      "name": "cofferdam-task-1-1-0",
      "network": {
        "mode": "bridge",
      },
      "sandbox": {
        "localNames": [],
        "network": {
          "audit": false,
          "deny": [],
          "mode": "egress",
        },
        "reusable": true,
        "tenant": "ns/class standard",
      },
      "shared": [],
      "workingDirectory": "/home/circleci/project",
      "workspace": {
        "medium": "disk",
        "owner": {
          "gid": 1002,
          "uid": 1001,
        },
        "path": "/home/circleci/project",
        "sizeBytes": 1073741824,
      },
    }
  `);
});

describe("the steps' container", () => {
  test("gets the task agent from the shared volume in a user's image, and has it already in the task-agent image", () => {
    expect(planned(aTask({ container: docker([{}]) })).primary.shared).toEqual([
      { volume: "agent-volume", path: "/opt/cofferdam" },
    ]);
    expect(planned(aTask()).primary.shared).toEqual([]);
  });

  test("has no network where the class has none", () => {
    expect(planned(aTask({ container: { network: noNetwork } })).primary.network).toEqual({ mode: "none" });
  });

  test("takes the image's own workspace where it names one, and only for the image's own user", () => {
    const named = { ...image, user: "circleci", labels: { "dev.cofferdam.workspace": "/home/circleci/project" } };
    const workspaceOf = (spec: Parameters<typeof docker>[0][number]) =>
      planned(aTask({ container: docker([spec]) }), { image: named }).primary.workspace;

    expect(workspaceOf({})).toMatchObject({ path: "/home/circleci/project", prepared: true });
    expect(workspaceOf({ user: "root" })).not.toHaveProperty("prepared");
  });

  test("never runs as root in strict isolation", () => {
    const root = { uid: 0, gid: 0, home: "/root" };

    const { primary } = planned(aTask({ container: { isolation: "strict" } }), { account: root });

    expect(primary.user).toBe("65534:65534");
    expect(primary.workspace).toMatchObject({ path: "/tmp/project", owner: { uid: 65534, gid: 65534 } });
    expect(primary.environment).toEqual({ HOME: "/tmp" });
  });

  test("keeps variables that would break the task agent for the steps alone", () => {
    const withOptions = { ...image, environment: { NODE_OPTIONS: "--require /missing.js", LANG: "C" } };

    const { primary, work } = planned(aTask({ container: docker([{}]) }), { image: withOptions });

    expect(primary.environment).toEqual({ NODE_OPTIONS: "" });
    expect(work.environment).toEqual({ NODE_OPTIONS: "--require /missing.js" });
  });

  test("lets the job's variables win over the image's of the config", () => {
    const container = docker([{ environment: { A: "image", B: "image" } }]);

    const { primary, work } = planned(aTask({ container, work: { environment: { B: "job" } } }));

    expect(work.environment).toEqual({ A: "image", B: "job" });
    expect(primary.environment).toEqual({});
  });

  test("knows every image's name as another word for localhost", () => {
    const container = docker([{ name: "app" }, { name: "db.local" }, {}]);

    expect(planned(aTask({ container })).primary.localNames).toEqual(["app", "db.local"]);
  });
});

test.each([
  [
    "another architecture",
    {},
    { image: { ...image, architecture: "arm64" } },
    /built for arm64, and this host is amd64/,
  ],
  ["a host name that could smuggle an address", docker([{ name: "db:10.0.0.1" }]), {}, /is no host name/],
  ["too many images", docker(Array.from({ length: 21 }, () => ({}))), {}, /more than 20 images/],
  ["a workspace that hides the system", { workingDirectory: "/proc/1" }, {}, /covers what the container needs/],
])("refuses %s, in words", (_what, container, changes, message) => {
  const plan = planTask(input(aTask({ container }), changes));

  expect(plan).toEqual({ problem: expect.stringMatching(message) });
});

test("runs a service as its image says, in the network of the steps' container", () => {
  const task = aTask({ container: docker([{}, { image: "postgres:17", environment: { P: "1" }, user: "postgres" }]) });
  const spec = task.container.images[1];
  if (!spec) throw new Error("no service");

  const plan = planService(input(task), { spec, index: 1, joins: "abc" });

  expect(plan).toMatchObject({
    name: "cofferdam-task-1-1-1",
    network: { mode: "join", container: "abc" },
    environment: { P: "1" },
    user: "postgres",
  });
  expect(plan).not.toHaveProperty("workspace");
});

const ends = ["/opt/cofferdam/busybox", "timeout", "-s", "KILL", "5400"];

test.each([
  ["what its image runs", {}, ["/docker-entrypoint.sh", "serve"]],
  ["its command, by its image's entrypoint", { command: ["migrate"] }, ["/docker-entrypoint.sh", "migrate"]],
  ["its entrypoint alone", { entrypoint: ["/bin/other"] }, ["/bin/other"]],
  ["both", { entrypoint: ["/bin/other"], command: ["-v"] }, ["/bin/other", "-v"]],
  ["its command alone, where it takes the entrypoint away", { entrypoint: [""], command: ["migrate"] }, ["migrate"]],
])("a service runs %s, and ends by itself at its deadline", (_what, changes, command) => {
  const task = aTask({ container: docker([{}, changes]) });
  const spec = task.container.images[1];
  if (!spec) throw new Error("no service");

  const plan = planService(input(task), { spec, index: 1, joins: "abc" });

  expect(plan).toMatchObject({ entrypoint: [...ends, ...command], command: [] });
});

test("a service whose image runs nothing is refused, in words", () => {
  const task = aTask({ container: docker([{}, {}]) });
  const spec = task.container.images[1];
  if (!spec) throw new Error("no service");
  const empty = { ...image, entrypoint: [], command: [] };

  const plan = planService(input(task, { image: empty }), { spec, index: 1, joins: "abc" });

  expect(plan).toEqual({ problem: expect.stringMatching(/node:24 runs nothing by itself/) });
});

/** All that a job's config can say, and more. */
const anyTask = fc
  .record({
    id: fc.string(),
    attempt: fc.integer({ min: 1 }),
    image: fc.string({ minLength: 1 }),
    user: fc.option(fc.string(), { nil: undefined }),
    entrypoint: fc.array(fc.string()),
    command: fc.array(fc.string()),
    environment: fc.dictionary(fc.string(), fc.string()),
    workingDirectory: fc.oneof(
      fc.string(),
      fc.constantFrom("/", "/opt", "/opt/cofferdam/x", "../..", "~", "//proc/./1", "/a/../sys"),
    ),
    resourceClass: fc.string(),
  })
  .map(({ id, attempt, workingDirectory, resourceClass, image: reference, user, ...rest }) => {
    const spec = { image: reference, ...rest, ...(user === undefined ? {} : { user }) };
    const container = { executor: "docker" as const, images: [spec, spec], workingDirectory, resourceClass };
    return aTask({ id, attempt, container });
  });

test("nothing that a job says widens its container", () => {
  const wide = planned(aTask({ container: docker([{ user: "x", name: "n" }]) })).primary;
  const known = new Set(Object.keys(wide));

  fc.assert(
    fc.property(anyTask, (task) => {
      const plan = planTask(input(task));
      if (isProblem(plan)) return;
      const { primary } = plan;
      expect(Object.keys(primary).filter((key) => !known.has(key))).toEqual([]);
      expect(primary.entrypoint).toEqual(wide.entrypoint);
      expect(primary.limits).toEqual(wide.limits);
      expect(primary.isolation).toBe("standard");
      expect(primary.network).toEqual({ mode: "bridge" });
      expect(primary.shared).toEqual([{ volume: "agent-volume", path: "/opt/cofferdam" }]);
      expect(primary.image).toBe(image.id);
      expect(primary.name).toMatch(/^cofferdam-[a-zA-Z0-9_.-]*-\d+-0$/);
      expect(primary.workspace?.path).toMatch(/^\/(?!$|proc(\/|$)|sys(\/|$)|dev(\/|$)|opt$|opt\/cofferdam(\/|$))/);
      expect(primary.workspace?.path).not.toMatch(/\/\.\.?(\/|$)|\/\//);
    }),
    { numRuns: 500 },
  );
});

test("nothing that a job says widens its services", () => {
  fc.assert(
    fc.property(anyTask, (task) => {
      const spec = task.container.images[1];
      const plan = spec && planService(input(task), { spec, index: 1, joins: "primary" });
      if (!plan || isProblem(plan)) return;
      expect(plan.network).toEqual({ mode: "join", container: "primary" });
      expect(plan.shared).toEqual([{ volume: "agent-volume", path: "/opt/cofferdam" }]);
      expect(plan.entrypoint?.slice(0, ends.length)).toEqual(ends);
      expect(plan.workspace).toBeUndefined();
      expect(plan.limits).toEqual({ memoryBytes: 1024 ** 3, cpus: 1, pids: 1000, openFiles: 1024 });
      expect(plan.isolation).toBe("standard");
    }),
  );
});
