import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { expect, test } from "vitest";
import { ManualClock } from "../../../test/fakes/manual-clock.ts";
import { newPipeline } from "../../../test/fakes/pipelines.ts";
import { temporaryControlPlane, testRoute } from "../../../test/fakes/temporary-control-plane.ts";
import { storeOf } from "../../../test/fakes/test-store.ts";
import type { CompiledConfig, CompiledInvocation, Filters } from "../../config/compiled.ts";
import type { ControlPlaneOptions } from "../control-plane.ts";
import { openControlPlane } from "../index.ts";
import { openStore } from "../store/store.ts";

/** Every day at four, unless said otherwise. */
function nightly(
  { crons = ["0 4 * * *"], filters }: { crons?: string[]; filters?: Filters } = {},
  job: CompiledInvocation = "build",
): CompiledConfig {
  const triggers = crons.map((cron) => ({ schedule: { cron, ...(filters ? { filters } : {}) } }));
  return {
    jobs: { build: { machine: true, steps: [{ run: "true" }] } },
    workflows: { main: { jobs: ["build"] }, nightly: { jobs: [job], triggers } },
  };
}

async function scheduling(options: Partial<ControlPlaneOptions> = {}) {
  const clock = new ManualClock("2026-01-01T03:00:00Z");
  const plane = await temporaryControlPlane({ clock, schedules: true, ...options });
  const dataDirectory = join(plane.directory, "data");
  const where = { directory: dataDirectory, ...(await storeOf(dataDirectory)) };
  const store = await openStore({ ...where, clock, onCommit: () => undefined });
  return {
    ...plane,
    clock,
    dataDirectory,
    store,
    /** Another process over the same folder. */
    another: () => openAnother({ clock, dataDirectory }),
    started: () => scheduledOf(store),
    [Symbol.asyncDispose]: async () => {
      await store.close();
      await plane[Symbol.asyncDispose]();
    },
  };
}

async function openAnother(options: Pick<ControlPlaneOptions, "clock" | "dataDirectory">) {
  return await openControlPlane({
    ...options,
    ...(await storeOf(options.dataDirectory)),
    schedules: true,
    route: () => testRoute,
    sources: { open: () => Promise.reject(new Error("no sources in this test")) },
    logLevel: "silent",
  });
}

/** When and on which branch schedules have started something. */
async function scheduledOf(store: Awaited<ReturnType<typeof openStore>>): Promise<string[]> {
  const rows = await store.db.selectFrom("pipeline").selectAll().orderBy("number").execute();
  const scheduled = rows.filter(({ trigger_json }) => trigger_json.includes("scheduled_pipeline"));
  return scheduled.map(({ created_ms, vcs_json }) => {
    const { branch } = JSON.parse(vcs_json) as { branch: string };
    return `${new Date(created_ms).toISOString().slice(0, 16)} ${branch}`;
  });
}

async function workflowsOf({ store }: Pick<Awaited<ReturnType<typeof scheduling>>, "store">) {
  return await store.db
    .selectFrom("workflow")
    .innerJoin("pipeline", "pipeline.id", "workflow.pipeline_id")
    .select(["pipeline.number", "workflow.name", "workflow.reason"])
    .orderBy("pipeline.number")
    .orderBy("workflow.position")
    .execute();
}

test("a scheduled workflow starts when it is its time, and not before", async () => {
  await using plane = await scheduling();
  await plane.start(nightly());

  await plane.clock.set("2026-01-01T03:59:59Z");
  expect(await plane.started()).toEqual([]);
  await plane.clock.set("2026-01-01T04:00:00Z");
  await plane.clock.set("2026-01-01T04:00:01Z");
  expect(await plane.started()).toEqual(["2026-01-01T04:00 main"]);
  await plane.clock.set("2026-01-02T04:00:30Z");
  expect(await plane.started()).toEqual(["2026-01-01T04:00 main", "2026-01-02T04:00 main"]);
});

test("it starts alone, with what its pipeline was made with, for the newest revision of its branch", async () => {
  await using plane = await scheduling();
  const vcs = { branch: "main", revision: "0123abc", url: "https://example.com/r.git" };
  await plane.start(nightly(), { vcs, environment: { TOKEN: "long-secret" }, secretNames: ["TOKEN"], source: "text" });

  await plane.clock.set("2026-01-01T04:00:00Z");

  expect(await workflowsOf(plane)).toEqual([
    { number: 1, name: "main", reason: null },
    { number: 1, name: "nightly", reason: "it has a schedule (0 4 * * *), and starts at its times (UTC) alone" },
    { number: 2, name: "nightly", reason: null },
  ]);
  const row = await plane.store.db.selectFrom("pipeline").selectAll().where("number", "=", 2).executeTakeFirstOrThrow();
  expect(JSON.parse(row.vcs_json)).toEqual({ branch: "main", url: "https://example.com/r.git" });
  expect(row).toMatchObject({ source: "text", trigger_json: '{"type":"scheduled_pipeline","actor":"tester"}' });
  const tasks = [await plane.agent.claim(plane.token), await plane.agent.claim(plane.token)];
  expect(tasks.map((task) => JSON.stringify(task?.task).match(/long-secret/g)?.length)).toEqual([2, 2]);
});

test("two control planes over one folder start an occurrence once", async () => {
  await using plane = await scheduling();
  const others = [await plane.another(), await plane.another()];
  await plane.start(nightly({ crons: ["* * * * *"] }));

  for (const minute of ["01", "02", "03"]) await plane.clock.set(`2026-01-01T03:${minute}:00Z`);

  expect(await plane.started()).toEqual(["2026-01-01T03:01 main", "2026-01-01T03:02 main", "2026-01-01T03:03 main"]);
  await Promise.all(others.map((other) => other.close({ graceMs: 0 })));
});

test("an occurrence whose control plane was killed in between is started once, by the next", {
  timeout: 30_000,
}, async () => {
  await using plane = await scheduling();
  await plane.start(nightly());
  const script = new URL("../../../test/fakes/killed-scheduler.ts", import.meta.url).pathname;
  const times = ["2026-01-01T03:59:00Z", "2026-01-01T04:00:00Z"];
  const { database } = await storeOf(plane.dataDirectory);
  const args = [plane.dataDirectory, ...times, ...(database ? [database.url.reveal()] : [])];
  const killed = spawn(process.execPath, [script, ...args], { stdio: "ignore" });

  expect(await once(killed, "exit")).toEqual([null, "SIGKILL"]);
  expect(await plane.started()).toEqual([]);
  await plane.clock.set("2026-01-01T04:00:10Z");
  await plane.clock.set("2026-01-01T04:00:20Z");

  expect(await plane.started()).toEqual(["2026-01-01T04:00 main"]);
});

test("what fails once is tried again while its minute lasts, and does not hold up others", async () => {
  let fails = 1;
  const route: ControlPlaneOptions["route"] = (resourceClass) => {
    if (resourceClass === "test/fails" && fails-- > 0) throw new Error("the disk is busy");
    return testRoute;
  };
  await using plane = await scheduling({ route });
  const failing = nightly();
  failing.workflows["main"] = { jobs: [] };
  failing.jobs["build"] = { machine: true, resource_class: "test/fails", steps: [{ run: "true" }] };
  await plane.start(failing, { vcs: { branch: "fails" } });
  await plane.start(nightly());

  await plane.clock.set("2026-01-01T04:00:00Z");
  expect(await plane.started()).toEqual(["2026-01-01T04:00 main"]);
  await plane.clock.set("2026-01-01T04:00:05Z");
  expect(await plane.started()).toEqual(["2026-01-01T04:00 main", "2026-01-01T04:00 fails"]);
});

test("the newest pipeline of a branch says what is scheduled, on that branch alone", async () => {
  await using plane = await scheduling();
  await plane.start(nightly());
  await plane.start(nightly(), { vcs: { branch: "other" } });
  await plane.start(nightly(), {
    vcs: { branch: "main" },
    project: { slug: "gh/organization/second", name: "second" },
  });

  await plane.start(nightly({ crons: ["30 3 * * *", "45 3 * * *"] }));
  await plane.clock.set("2026-01-01T03:30:00Z");
  await plane.clock.set("2026-01-01T03:45:00Z");
  await plane.start({ jobs: {}, workflows: {} });
  await plane.clock.set("2026-01-01T04:00:00Z");
  await plane.clock.set("2026-01-02T03:30:00Z");

  expect(await plane.started()).toEqual([
    "2026-01-01T03:30 main",
    "2026-01-01T03:45 main",
    "2026-01-01T04:00 other",
    // Of the second project.
    "2026-01-01T04:00 main",
  ]);
});

test("a pipeline that comes when an occurrence is due neither takes it away nor doubles it", async () => {
  const clock = new ManualClock("2026-01-01T03:00:00Z");
  await using plane = await scheduling({ clock, schedules: true });
  await plane.start(nightly());
  const at = new ManualClock("2026-01-01T04:00:00Z");
  // Another process, in which the minute has come already and whose loop has not looked yet.
  const ahead = await openAnother({ clock: at, dataDirectory: plane.dataDirectory });

  await ahead.createPipeline(newPipeline(nightly()));
  await clock.set("2026-01-01T04:00:01Z");
  await ahead.createPipeline(newPipeline(nightly()));
  await at.set("2026-01-01T04:00:02Z");

  expect(await plane.started()).toEqual(["2026-01-01T04:00 main"]);
  await ahead.close({ graceMs: 0 });
});

test("occurrences of the time when nothing ran are not made up for", async () => {
  await using plane = await scheduling();
  await plane.start(nightly({ crons: ["0 4 * * *", "0 5 * * *"] }));

  await plane.clock.set("2026-01-03T04:01:00Z");
  expect(await plane.started()).toEqual([]);
  await plane.clock.set("2026-01-03T05:00:59Z");
  expect(await plane.started()).toEqual(["2026-01-03T05:00 main"]);
});

test.each([
  ["its filters leave the branch out", { filters: { branches: { only: "release" } } }, { branch: "main" }],
  ["the cron never comes", { crons: ["*/5 * * * *"] }, { branch: "main" }],
  ["the cron is a number", { crons: [5 as unknown as string] }, { branch: "main" }],
  ["the pipeline is of a tag", {}, { tag: "v1" }],
  ["the tree is on no branch", {}, {}],
])("nothing starts, and that is said, where %s", async (_title, schedule, vcs) => {
  await using plane = await scheduling();
  await plane.start(nightly(schedule), { vcs });

  await plane.clock.set("2026-01-01T04:00:00Z");

  expect(await plane.started()).toEqual([]);
  expect((await workflowsOf(plane)).find(({ name }) => name === "nightly")?.reason).toMatch(
    /^it has a schedule \(.*\), which never starts it for .*: ask for the workflow by its name$/,
  );
});

test("values of contexts are not kept, and a job that names one says so", async () => {
  await using plane = await scheduling();
  await plane.start(nightly({}, { build: { context: "deploy" } }), { contexts: { deploy: { KEY: "context-secret" } } });

  await plane.clock.set("2026-01-01T04:00:00Z");

  const schedules = await plane.store.db.selectFrom("schedule").selectAll().execute();
  expect(JSON.stringify(schedules)).not.toContain("context-secret");
  const jobs = await plane.store.db.selectFrom("job").select(["status", "reason"]).orderBy("number", "desc").execute();
  expect(jobs[0]).toEqual({
    status: "unauthorized",
    reason: 'values of the context "deploy" are not kept for runs that a schedule starts',
  });
});

test("without the option nothing is remembered, and nothing starts", async () => {
  await using plane = await scheduling({
    schedules: false,
  });
  await plane.start(nightly());

  await plane.clock.set("2026-01-01T04:00:00Z");

  expect(await plane.started()).toEqual([]);
  expect(await plane.store.db.selectFrom("schedule").selectAll().execute()).toEqual([]);
  expect((await workflowsOf(plane))[1]?.reason).toContain("nothing starts schedules here");
});
