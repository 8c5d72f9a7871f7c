import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";
import type { AgentStatus } from "../launch-agent.ts";
import type { AgentEvent } from "../task/context.ts";

export interface MetricsOptions {
  version: string;
  /** Asked at each scrape; undefined: there is no agent yet. */
  status: () => AgentStatus | undefined;
}

export interface Metrics {
  onEvent(event: AgentEvent): void;
  onEngineError(code: string): void;
  /** In the format of Prometheus. */
  text(): Promise<string>;
}

/** Seconds: from a hit within milliseconds to an image that has to be pulled. */
const startBuckets = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300];
const waitBuckets = [0.001, 0.01, 0.1, 0.5, 1, 5, 10, 30, 60, 300, 1800];

/** Names of classes that are labels. An agent serves as many as it has tokens, and a control plane could make up any number of names. */
const mostClasses = 100;

/** Counts what an agent does. Every label has a bounded set of values: none comes from a task or a config. */
export function createMetrics({ version, status }: MetricsOptions): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const build = counter(registry, "cofferdam_build_info", "Always 1.", "version");
  build.inc({ version });
  gauges(registry, status);
  const open = new OpenStarts(registry);
  const take = takers(registry);
  const engineErrors = counter(registry, "cofferdam_engine_errors_total", "Calls to the engine that failed.", "code");
  return {
    onEngineError: (code) => engineErrors.inc({ code }),
    text: async () => await registry.metrics(),
    onEvent: (event) => {
      open.take(event);
      take(event);
    },
  };
}

/** What is counted event by event. */
function takers(registry: Registry): (event: AgentEvent) => void {
  const claims = counter(registry, "cofferdam_claims_total", "Claims by their answer.", "result");
  const tasks = counter(
    registry,
    "cofferdam_tasks_total",
    "Tasks that ended here: reported (by their task agent), ended (by this agent), infrastructure, unheard (nobody listens any more).",
    "end",
  );
  const leaks = counter(
    registry,
    "cofferdam_leaks_found_total",
    "Objects of dead agents that were found on the engine.",
  );
  const output = counter(
    registry,
    "cofferdam_output_bytes_total",
    "Bytes of tasks' records that the control plane has stored.",
  );
  const apiErrors = counter(
    registry,
    "cofferdam_control_plane_errors_total",
    "Calls to the control plane that failed: no-answer, or the class of the status.",
    "kind",
  );
  const queue = waits(
    registry,
    "cofferdam_queue_wait_seconds",
    "Tasks that came here waiting in the control plane's queue, by class.",
    "resource_class",
  );
  const classes = new Set<string>();
  const admission = waits(registry, "cofferdam_admission_wait_seconds", "Claimed tasks waiting for room on this host.");
  const gate = waits(registry, "cofferdam_start_gate_wait_seconds", "Starts of containers waiting for their turn.");
  return (event) => {
    if (event.type === "claim") claims.inc({ result: event.result });
    else if (event.type === "ended") tasks.inc({ end: event.end });
    else if (event.type === "queue-wait") {
      if (classes.size < mostClasses) classes.add(event.resourceClass);
      const name = classes.has(event.resourceClass) ? event.resourceClass : "other";
      queue.observe({ resource_class: name }, event.waitedMs / 1000);
    } else if (event.type === "admitted") admission.observe(event.waitedMs / 1000);
    else if (event.type === "gate") gate.observe(event.waitedMs / 1000);
    else if (event.type === "leaks-found") leaks.inc(event.count);
    else if (event.type === "output") output.inc(event.bytes);
    else if (event.type === "api-failed") apiErrors.inc({ kind: event.kind });
  };
}

function counter(registry: Registry, name: string, help: string, label?: string): Counter {
  return new Counter({ name, help, labelNames: label === undefined ? [] : [label], registers: [registry] });
}

function waits(registry: Registry, name: string, help: string, label?: string): Histogram {
  const labelNames = label === undefined ? [] : [label];
  return new Histogram({ name, help, labelNames, buckets: waitBuckets, registers: [registry] });
}

/** Tasks that were claimed and are not gone yet: when, and how they started. */
class OpenStarts {
  readonly #starts: Histogram;
  readonly #open = new Map<string, { claimedAtMs: number; start?: "hit" | "miss" }>();

  constructor(registry: Registry) {
    this.#starts = new Histogram({
      name: "cofferdam_task_start_seconds",
      help: "From the claim to the task agent having taken the task over, by whether a container waited for it.",
      labelNames: ["start"],
      buckets: startBuckets,
      registers: [registry],
    });
  }

  take(event: AgentEvent): void {
    if (!("taskId" in event && "attempt" in event)) return;
    const key = `${event.taskId}.${event.attempt}`;
    if (event.type === "claimed") this.#open.set(key, { claimedAtMs: event.atMs });
    if (event.type === "removed") this.#open.delete(key);
    const task = this.#open.get(key);
    if (!task) return;
    if (event.type === "hit" || event.type === "miss") task.start = event.type;
    if (event.type === "accepted" && task.start)
      this.#starts.observe({ start: task.start }, (event.atMs - task.claimedAtMs) / 1000);
  }
}

/** What holds at the moment of a scrape. */
function gauges(registry: Registry, status: MetricsOptions["status"]): void {
  const all: [name: string, help: string, value: (status: AgentStatus) => number][] = [
    ["cofferdam_tasks_running", "Tasks that this agent has now.", ({ running }) => running],
    ["cofferdam_capacity_tasks", "Tasks at once.", ({ capacity }) => capacity.tasks],
    ["cofferdam_capacity_memory_bytes", "Memory for all tasks together.", ({ capacity }) => capacity.memoryBytes],
    ["cofferdam_capacity_cpus", "Cores for all tasks together.", ({ capacity }) => capacity.cpus],
    ["cofferdam_pool_containers", "Containers that are kept for tasks to come.", ({ pool }) => pool.containers],
    ["cofferdam_pool_waiting", "Those that could take a task at once.", ({ pool }) => pool.waiting],
    [
      "cofferdam_sandboxes_used",
      "Sandboxes that tasks, or containers that wait, have.",
      ({ sandboxes }) => sandboxes.used,
    ],
    ["cofferdam_sandboxes_memory_bytes", "Memory that sandboxes may take.", ({ sandboxes }) => sandboxes.bytes],
    ["cofferdam_pool_memory_bytes", "Memory that is set aside for them.", ({ pool }) => pool.bytes],
    ["cofferdam_sandboxes_ready", "Sandboxes that are kept for tasks to come.", ({ sandboxes }) => sandboxes.ready],
    [
      "cofferdam_control_plane_reached",
      "1: it answered last time.",
      ({ controlPlane }) => Number(controlPlane.reached),
    ],
    [
      "cofferdam_disk_free_bytes",
      "Of the engine's disk; 0 where it cannot be seen.",
      ({ disk }) => disk?.space?.freeBytes ?? 0,
    ],
    ["cofferdam_disk_total_bytes", "Of the same.", ({ disk }) => disk?.space?.totalBytes ?? 0],
    [
      "cofferdam_disk_full",
      "1: no task is claimed because of the disk.",
      ({ disk }) => Number(disk?.problem !== undefined),
    ],
    [
      "cofferdam_images_removed",
      "Images that were removed to make room, since the start.",
      ({ disk }) => disk?.removedImages ?? 0,
    ],
    ["cofferdam_draining", "1: it takes no new tasks any more.", ({ ending }) => Number(ending !== undefined)],
  ];
  for (const [name, help, value] of all) {
    const gauge = new Gauge({
      name,
      help,
      registers: [],
      collect() {
        const now = status();
        if (now) this.set(value(now));
      },
    });
    registry.registerMetric(gauge);
  }
}
