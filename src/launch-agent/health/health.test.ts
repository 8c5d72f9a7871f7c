import { expect, test } from "vitest";
import { createDummyEngine } from "../../engine/dummy/index.ts";
import { EngineError } from "../../engine/engine.ts";
import { systemClock } from "../../lib/clock.ts";
import type { AgentStatus } from "../launch-agent.ts";
import type { AgentEvent } from "../task/context.ts";
import { askHealth } from "./ask.ts";
import { createMetrics } from "./metrics.ts";
import { readiness } from "./readiness.ts";
import { serveHealth } from "./server.ts";

const status: AgentStatus = {
  controlPlane: { reached: true },
  ending: undefined,
  running: 2,
  capacity: { tasks: 4, memoryBytes: 1024, cpus: 3 },
  classes: ["ns/class"],
  pool: { containers: 3, waiting: 1, bytes: 192 },
  sandboxes: { ready: 5, used: 2, bytes: 7 },
  disk: undefined,
};

test("is ready when the engine answers and the control plane does, and says else what is missing", async () => {
  const engine = createDummyEngine({ program: async () => 0, requiredLabels: [] });
  let nowMs = 0;
  const clock = { ...systemClock, monotonic: () => nowMs };
  let now: AgentStatus = status;
  let engineProblem: EngineError | undefined;
  const asked: Pick<typeof engine, "info"> = {
    info: async (signal) => {
      if (engineProblem) throw engineProblem;
      return await engine.info(signal);
    },
  };
  const ready = readiness({ status: () => now, engine: asked, clock });

  await expect(ready()).resolves.toMatchObject({
    ready: true,
    reasons: [],
    running: 2,
    capacity: 4,
    classes: ["ns/class"],
  });

  engineProblem = new EngineError("unreachable", "no engine listens there");
  now = { ...status, ending: "drained", controlPlane: { reached: false, message: "nothing listens there" } };
  nowMs += 6_000;
  await expect(ready()).resolves.toMatchObject({
    ready: false,
    reasons: [
      "taking no new tasks: draining",
      "engine: no engine listens there",
      "control plane: nothing listens there",
    ],
  });
});

test("answers probes, refuses what it does not know, and is asked without a shell", async () => {
  const server = await serveHealth({
    address: "127.0.0.1:0",
    ready: async () => ({ ready: false, reasons: ["engine: gone"], running: 0, capacity: 1, classes: [] }),
    metrics: async () => "cofferdam_x 1\n",
  });

  await expect(askHealth(server.address, "live")).resolves.toEqual({ ok: true, said: "live\n" });
  await expect(askHealth(server.address, "ready")).resolves.toMatchObject({
    ok: false,
    said: expect.stringContaining("engine: gone"),
  });
  await expect(fetch(`http://${server.address}/metrics`).then(async (answer) => await answer.text())).resolves.toBe(
    "cofferdam_x 1\n",
  );
  await expect(fetch(`http://${server.address}/else`)).resolves.toMatchObject({ status: 404 });
  await expect(fetch(`http://${server.address}/live`, { method: "POST" })).resolves.toMatchObject({ status: 405 });
  await expect(serveHealth({ address: server.address, ready: neverAsked, metrics: neverAsked })).rejects.toThrow(
    "somebody listens there already. Set another one, or none",
  );
  await server.close();
  await expect(askHealth(server.address, "live")).resolves.toMatchObject({
    ok: false,
    said: expect.stringContaining("nothing answers"),
  });
});

async function neverAsked(): Promise<never> {
  throw new Error("nobody asks");
}

test("counts what happens, and names no task", async () => {
  const metrics = createMetrics({ version: "1.2.3", status: () => status });
  const ids = { taskId: "task-7", attempt: 1 };
  const events: AgentEvent[] = [
    { type: "claim", result: "task", atMs: 0 },
    { type: "claim", result: "none", atMs: 0 },
    { type: "claimed", ...ids, atMs: 1_000 },
    { type: "queue-wait", resourceClass: "ns/class", waitedMs: 7_000, atMs: 0 },
    { type: "admitted", taskId: "task-7", waitedMs: 2_000, atMs: 1_000 },
    { type: "hit", ...ids, atMs: 1_005 },
    { type: "accepted", ...ids, atMs: 1_020 },
    { type: "output", bytes: 77, atMs: 0 },
    { type: "ended", ...ids, end: "reported", atMs: 1_500 },
    { type: "removed", ...ids, atMs: 1_600 },
    { type: "gate", waitedMs: 3_000, atMs: 0 },
    { type: "leaks-found", count: 2, atMs: 0 },
    { type: "api-failed", kind: "5xx", atMs: 0 },
  ];

  for (const event of events) metrics.onEvent(event);
  metrics.onEngineError("unreachable");
  const text = await metrics.text();

  expect(text.split("\n")).toEqual(
    expect.arrayContaining([
      'cofferdam_build_info{version="1.2.3"} 1',
      'cofferdam_claims_total{result="task"} 1',
      'cofferdam_claims_total{result="none"} 1',
      'cofferdam_task_start_seconds_bucket{le="0.025",start="hit"} 1',
      'cofferdam_task_start_seconds_bucket{le="0.01",start="hit"} 0',
      'cofferdam_queue_wait_seconds_sum{resource_class="ns/class"} 7',
      'cofferdam_queue_wait_seconds_bucket{le="10",resource_class="ns/class"} 1',
      'cofferdam_queue_wait_seconds_bucket{le="5",resource_class="ns/class"} 0',
      "cofferdam_admission_wait_seconds_sum 2",
      "cofferdam_start_gate_wait_seconds_sum 3",
      'cofferdam_tasks_total{end="reported"} 1',
      "cofferdam_output_bytes_total 77",
      "cofferdam_leaks_found_total 2",
      'cofferdam_control_plane_errors_total{kind="5xx"} 1',
      'cofferdam_engine_errors_total{code="unreachable"} 1',
      "cofferdam_tasks_running 2",
      "cofferdam_capacity_tasks 4",
      "cofferdam_pool_containers 3",
      "cofferdam_pool_waiting 1",
      "cofferdam_sandboxes_ready 5",
      "cofferdam_pool_memory_bytes 192",
      "cofferdam_control_plane_reached 1",
      "cofferdam_draining 0",
    ]),
  );
  expect(text).not.toContain("task-7");
});

test("a control plane that makes up names of classes does not make labels without end", async () => {
  const metrics = createMetrics({ version: "1.2.3", status: () => status });

  for (let index = 0; index < 500; index++)
    metrics.onEvent({ type: "queue-wait", resourceClass: `made-up/${index}`, waitedMs: 1, atMs: 0 });

  const sums = (await metrics.text())
    .split("\n")
    .filter((line) => line.startsWith("cofferdam_queue_wait_seconds_count"));
  expect(sums).toHaveLength(101);
  expect(sums).toContain('cofferdam_queue_wait_seconds_count{resource_class="other"} 400');
});
