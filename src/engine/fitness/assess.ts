import type { HostFacts } from "./facts.ts";
import { type Hole, holes, verdict } from "./holes.ts";
import { unprovenEngine } from "./unproven.ts";

/** One thing that was looked at. `bad`: not fit to run tasks; `warning`: runs, but weaker or slower than it could be. */
export interface Finding {
  /** Stable, for programs: `engine-version`, `hole-CVE-2024-21626`. */
  id: string;
  level: "ok" | "warning" | "bad";
  /** What was found, and what it means. */
  what: string;
  /** What to do. Only where there is something. */
  next?: string;
}

const gibibyte = 1024 ** 3;
const skewMs = 5_000;

/** Looks over what an engine says of itself and its host. Pure. `nowMs`: by the clock of whoever asks, when it was asked. */
export function assessHost(facts: HostFacts, nowMs: number): Finding[] {
  return [
    engine(facts),
    ...assessHoles(facts),
    limits(facts),
    seccomp(facts),
    modules(facts),
    cgroups(facts),
    size(facts),
    storage(facts),
    liveRestore(facts),
    clock(facts, nowMs),
    ...facts.warnings.map(
      (text, index): Finding => ({ id: `engine-warning-${index + 1}`, level: "warning", what: text }),
    ),
  ].filter((finding) => finding !== undefined);
}

/** Known holes of what the engine is made of. One finding a hole that is open or may be; one for all where none is. */
export function assessHoles(facts: HostFacts): Finding[] {
  const findings = holes.flatMap((hole) => assessHole(hole, facts) ?? []);
  if (findings.length > 0) return findings;
  const names = facts.components.map(({ name, version }) => `${name} ${version}`).join(", ");
  return [{ id: "holes", level: "ok", what: `no known hole that a task could use: ${names || "nothing is told"}` }];
}

function assessHole(hole: Hole, facts: HostFacts): Finding | undefined {
  const component = facts.components.find(({ name }) => name === hole.component);
  if (!component || hole.unless?.(facts)) return undefined;
  const found = verdict(hole, component);
  if (found === "fixed") return undefined;
  const name = `${hole.component} ${component.revision.includes(component.version) ? component.revision : component.version}`;
  const releases = hole.fixedIn.join(", ");
  if (found === "open") {
    const what = `${name} has ${hole.id}: ${hole.what}`;
    return { id: `hole-${hole.id}`, level: "bad", what, next: `Install ${hole.component} ${releases} or newer.` };
  }
  return {
    id: `hole-${hole.id}`,
    level: "warning",
    what: `${name} may have ${hole.id} (${hole.what}): it is older than the fix, which your distribution may have added to it`,
    next: `Look ${hole.id} up in your distribution's security tracker, or install ${hole.component} ${releases} or newer.`,
  };
}

function engine({ kind, version, apiVersion }: HostFacts): Finding {
  const what = `${kind} ${version}, API ${apiVersion}`;
  const unproven = unprovenEngine({ kind, version });
  if (unproven === undefined) return { id: "engine", level: "ok", what };
  return { id: "engine", level: "warning", what: `${what}: ${unproven.what}`, next: unproven.next };
}

function limits(facts: HostFacts): Finding {
  const missing = Object.entries(facts.limits).filter(([, has]) => !has);
  if (missing.length === 0)
    return { id: "limits", level: "ok", what: "memory, swap, cores and processes can be limited" };
  const names = missing.map(([name]) => name);
  const onlySwap = names.length === 1 && names[0] === "swap";
  return {
    id: "limits",
    level: onlySwap ? "warning" : "bad",
    what: `the engine cannot limit ${names.join(", ")}: one task could take all of it from the others`,
    next: onlySwap
      ? "Boot the kernel with swapaccount=1, or switch swap off."
      : "Switch the cgroup controllers on (kernel command line), or run the engine as root with cgroup v2.",
  };
}

function seccomp({ securityOptions, seccompProfile, kind }: HostFacts): Finding {
  if (!securityOptions.includes("seccomp"))
    return {
      id: "seccomp",
      level: "bad",
      what: "the engine does not filter system calls (no seccomp)",
      next: "Use a kernel with CONFIG_SECCOMP_FILTER, and an engine that was built with seccomp.",
    };
  if (seccompProfile === "unconfined" && kind === "podman")
    return {
      id: "seccomp",
      level: "bad",
      what: "the engine's own seccomp profile is unconfined, and Podman takes no other one from us",
      next: "Take seccomp-profile out of the engine's configuration.",
    };
  return { id: "seccomp", level: "ok", what: "system calls are filtered" };
}

function modules({ securityOptions }: HostFacts): Finding {
  const active = ["apparmor", "selinux"].filter((name) => securityOptions.includes(name));
  if (active.length > 0) return { id: "security-module", level: "ok", what: `${active.join(", ")} is on` };
  return {
    id: "security-module",
    level: "warning",
    what: "neither AppArmor nor SELinux confines containers: seccomp and capabilities alone hold a task",
    next: "Switch AppArmor (Debian, Ubuntu, SUSE) or SELinux (RHEL) on, where the kernel has it.",
  };
}

function cgroups({ cgroupVersion }: HostFacts): Finding {
  if (cgroupVersion === 2) return { id: "cgroup", level: "ok", what: "cgroup v2" };
  return {
    id: "cgroup",
    level: "warning",
    what: "cgroup v1: limits hold, but newer kernels and engines are leaving it",
    next: "Boot with systemd.unified_cgroup_hierarchy=1 when you next can.",
  };
}

function size({ cpus, memoryBytes }: HostFacts): Finding {
  const what = `${cpus} cores, ${(memoryBytes / gibibyte).toFixed(1)} GiB of memory`;
  if (memoryBytes >= 2 * gibibyte) return { id: "size", level: "ok", what };
  return {
    id: "size",
    level: "warning",
    what: `${what}: a class of the default size does not fit`,
    next: "Give classes less memory.",
  };
}

function storage({ storageDriver, backingFilesystem }: HostFacts): Finding {
  const what = `storage driver ${storageDriver || "unknown"}${backingFilesystem ? ` on ${backingFilesystem}` : ""}`;
  if (["vfs", "devicemapper", "aufs"].includes(storageDriver))
    return { id: "storage", level: "warning", what: `${what}: slow, and hungry for disk`, next: "Use overlay2." };
  return { id: "storage", level: "ok", what };
}

function liveRestore({ liveRestore: on, kind, swarm }: HostFacts): Finding | undefined {
  if (kind !== "docker") return undefined;
  if (on) return { id: "live-restore", level: "ok", what: "tasks outlive a restart of the engine" };
  return {
    id: "live-restore",
    level: "warning",
    what: "a restart of the engine ends every running task",
    next: swarm
      ? "Swarm forbids live-restore: drain the agent before you restart the engine."
      : 'Set "live-restore": true in /etc/docker/daemon.json.',
  };
}

function clock({ clockMs }: HostFacts, nowMs: number): Finding | undefined {
  if (clockMs === undefined) return undefined;
  const offMs = Math.abs(clockMs - nowMs);
  if (offMs <= skewMs) return { id: "clock", level: "ok", what: "this machine and the engine agree on the time" };
  return {
    id: "clock",
    level: "warning",
    what: `the engine's clock is ${Math.round(offMs / 1000)} s off this machine's: deadlines of what agents leave are by the clock`,
    next: "Run an NTP client on both.",
  };
}
