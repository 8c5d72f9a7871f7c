import { readdirSync, readFileSync } from "node:fs";

/**
 * Kills every process of this container but the init above us and ourselves: what a step has started in a session of
 * its own. Only for a process that has its container to itself.
 */
export function killStragglers(): void {
  const spared = new Set([1, process.pid, process.ppid]);
  // Again while there are some: one that forks as it dies leaves a child that was not listed.
  for (let round = 0; round < 5; round += 1) {
    const pids = processIds().filter((pid) => !spared.has(pid));
    if (pids.length === 0) return;
    for (const pid of pids) kill(pid);
  }
}

/** Whether we are the first process of a container, or right below the engine's own init. */
export function isAboveAll(): boolean {
  if (process.pid === 1) return true;
  if (process.ppid !== 1) return false;
  try {
    return /^(docker-init|tini|catatonit|podman-init|dumb-init)$/.test(readFileSync("/proc/1/comm", "utf8").trim());
  } catch {
    return false;
  }
}

function processIds(): number[] {
  try {
    return readdirSync("/proc").flatMap((name) => (/^\d+$/.test(name) ? [Number(name)] : []));
  } catch {
    return [];
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // Gone already, or another user's: it goes with the container.
  }
}
