/** Where an engine listens. */
export type EngineAddress =
  | { kind: "socket"; path: string }
  | { kind: "tcp"; host: string; port: number; tls?: { ca?: string; cert?: string; key?: string } };

/** What `engineAddresses` looks at. The caller reads the environment and the files. */
export interface AddressHints {
  /** DOCKER_HOST: `unix:///path`, `tcp://host:port`, `http://…`, `https://…`. */
  dockerHost?: string | undefined;
  /** XDG_RUNTIME_DIR: rootless engines keep their sockets there. */
  runtimeDirectory?: string | undefined;
  /** PEM of ca.pem, cert.pem and key.pem, where DOCKER_CERT_PATH or DOCKER_TLS_VERIFY ask for TLS. */
  tls?: { ca?: string; cert?: string; key?: string } | undefined;
}

/**
 * The addresses at which an engine may be, best first. DOCKER_HOST alone where it is set: who names one wants no other.
 * Throws RangeError for a DOCKER_HOST that is no address.
 */
export function engineAddresses(hints: AddressHints): EngineAddress[] {
  if (hints.dockerHost !== undefined && hints.dockerHost !== "") return [parseDockerHost(hints.dockerHost, hints.tls)];
  const paths = ["/var/run/docker.sock", "/run/podman/podman.sock"];
  if (hints.runtimeDirectory !== undefined && hints.runtimeDirectory !== "")
    paths.push(`${hints.runtimeDirectory}/docker.sock`, `${hints.runtimeDirectory}/podman/podman.sock`);
  return paths.map((path) => ({ kind: "socket", path }));
}

/** For messages: `unix:///var/run/docker.sock`, `tcp://10.0.0.1:2376`. */
export function describeAddress(address: EngineAddress): string {
  return address.kind === "socket" ? `unix://${address.path}` : `tcp://${address.host}:${address.port}`;
}

function parseDockerHost(text: string, tls: AddressHints["tls"]): EngineAddress {
  if (text.startsWith("unix://")) return { kind: "socket", path: text.slice("unix://".length) };
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || url.hostname === "" || !["tcp:", "http:", "https:"].includes(url.protocol))
    throw new RangeError(`DOCKER_HOST is "${text}". It must be like unix:///var/run/docker.sock or tcp://host:2375.`);
  const secure = url.protocol === "https:" || tls !== undefined;
  const port = url.port === "" ? (secure ? 2376 : 2375) : Number(url.port);
  return { kind: "tcp", host: url.hostname, port, ...(secure ? { tls: tls ?? {} } : {}) };
}
