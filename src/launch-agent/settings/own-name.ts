/**
 * A name for an agent that was given none: the host's, and its container's where that is another word. Legal, the same after a restart
 * of the container, and another one for each container of a host. Pure.
 */
export function ownName(host: { hostname: string; mountInfo: string }): string {
  const id = containerId(host.mountInfo)?.slice(0, 12);
  const parts = id === undefined || host.hostname.startsWith(id) ? [host.hostname] : [host.hostname, id];
  const name = parts.join("-").replaceAll(/[^A-Za-z0-9 .()_-]/g, "-");
  return name.trim() === "" ? "cofferdam" : name.slice(-200);
}

/** Of the container that this process runs in, by the files that engines mount into it. Undefined outside of one. */
export function containerId(mountInfo: string): string | undefined {
  const mounted = /\/(?:containers|overlay-containers)\/([0-9a-f]{64})\/\S*\s+\/etc\/(?:hostname|hosts|resolv\.conf)\s/;
  return mounted.exec(mountInfo)?.[1];
}
