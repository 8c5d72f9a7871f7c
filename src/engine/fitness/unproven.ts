export interface Unproven {
  what: string;
  next: string;
}

/** What to know of an engine on which tasks are not proven to run; undefined where they are. */
export function unprovenEngine({ kind, version }: { kind: string; version: string }): Unproven | undefined {
  if (kind !== "podman") return undefined;
  return {
    what:
      `tasks are not proven to run on Podman ${version}. On 4.3.1 these did not work: attaching to a container ` +
      "(without it no task begins), networks, volumes that containers share, a seccomp profile of Cofferdam's own",
    next: 'Use a Docker engine for tasks that matter; see "Podman" in docs/operating.md.',
  };
}
