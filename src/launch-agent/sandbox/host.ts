import { parseIpv4 } from "../../lib/ipv4.ts";

/** What rules have to know of the engine's host. All IPv4, as text. */
export interface HostNetwork {
  /** Every address (or network of them) that is the host itself, loopback aside. */
  own: string[];
  /** Networks that it has a way to, but the default one. */
  routes: string[];
  /** Name servers that it asks, loopback aside. */
  resolvers: string[];
}

/**
 * What a helper on the host's network runs. The kernel's table of local addresses has also those that no interface shows, as clouds
 * have them for load balancers.
 */
export function lookAtHost(busybox: string): string[] {
  const script = `${busybox} ip -4 route show table local && ${busybox} ip -4 route show && ${busybox} cat /etc/resolv.conf`;
  return [busybox, "sh", "-c", script];
}

/** Reads what that says. Undefined where it does not even have a loopback address, as then it is not what we think. */
export function hostNetwork(said: string): HostNetwork | undefined {
  const lines = said.split("\n").map((line) => line.trim().split(/\s+/));
  const local = lines.flatMap(([word, to = ""]) => (word === "local" && parseIpv4(to) ? [to] : []));
  if (!local.some(isLoopback)) return undefined;
  const routes = lines.flatMap(([to = ""]) => (to.includes(".") && parseIpv4(to) ? [to] : []));
  const servers = lines.flatMap(([word, to = ""]) => (word === "nameserver" && parseIpv4(to) ? [to] : []));
  return { own: known(local), routes: known(routes), resolvers: known(servers) };
}

function known(addresses: readonly string[]): string[] {
  return [...new Set(addresses)].filter((address) => !isLoopback(address)).toSorted();
}

function isLoopback(address: string): boolean {
  return address.startsWith("127.");
}
