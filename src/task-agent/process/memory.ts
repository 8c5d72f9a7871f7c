import { readFileSync } from "node:fs";

/** What the kernel says of the container's memory, by its control group: version 2, else 1. */
const counters = ["/sys/fs/cgroup/memory.events", "/sys/fs/cgroup/memory/memory.oom_control"];
const limits = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"];

/** How many processes of this container the kernel has killed for memory so far. 0 where it does not say. */
export function memoryKills(): number {
  return Number(/^oom_kill (\d+)$/m.exec(readFirst(counters))?.[1] ?? 0);
}

/** What is said of a step in which it has killed some. */
export function outOfMemoryText(): string {
  const bytes = Number.parseInt(readFirst(limits), 10);
  const limit = Number.isNaN(bytes) ? "" : ` of ${Math.round(bytes / 1024 / 1024)} MiB`;
  return `out of memory: the limit${limit} of the resource class was reached. Use less at once, or a larger class`;
}

function readFirst(paths: readonly string[]): string {
  for (const path of paths) {
    try {
      return readFileSync(path, "utf8");
    } catch {
      // The other version.
    }
  }
  return "";
}
