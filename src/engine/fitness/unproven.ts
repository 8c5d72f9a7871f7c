export interface Unproven {
  what: string;
  next: string;
}

/** The release that the tests run on. */
const provenPodman = "4.3.1";

/** What to know of an engine on which not all is as on Docker; undefined where it is. */
export function unprovenEngine({ kind, version }: { kind: string; version: string }): Unproven | undefined {
  if (kind !== "podman") return undefined;
  const proven =
    version === provenPodman ? "" : `tasks are proven to run on Podman ${provenPodman}, not on ${version}. `;
  return {
    what:
      `${proven}On Podman a task ends with its launch agent: nobody can attach to its stdin twice. Cofferdam's own seccomp profile ` +
      "is not given, Podman's default holds. With cgroup v1 nobody is told that a task ran out of memory",
    next: 'Let agents drain before they end (docker stop, not kill); see "Podman" in docs/operating.md.',
  };
}
