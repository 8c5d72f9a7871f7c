import { BlockList, isIP } from "node:net";
import { type Dispatcher, Pool, ProxyAgent } from "undici";

export interface ConnectionOptions {
  baseUrl: string;
  /** PEM, trusted beside the usual authorities. */
  ca?: string;
  proxies: Proxies;
}

export interface Proxies {
  https?: string | undefined;
  http?: string | undefined;
  /** Names (with all below them), addresses, networks, each perhaps with a port; `*`: everything. */
  not?: string | undefined;
}

export const connectTimeoutMs = 10_000;
export const keepAliveMs = 20_000;

/** A connection that goes through a proxy, or trusts authorities of its own; undefined where the usual one does. */
export async function specialConnection(options: ConnectionOptions): Promise<Dispatcher | undefined> {
  const url = new URL(options.baseUrl);
  const proxy = proxyFor(url, options.proxies);
  if (proxy === undefined && options.ca === undefined) return undefined;
  const ca =
    options.ca === undefined
      ? {}
      : { ca: [...process.getBuiltinModule("node:tls").getCACertificates("default"), options.ca] };
  const common = { pipelining: 1, keepAliveTimeout: keepAliveMs };
  if (proxy === undefined) return new Pool(url.origin, { ...common, connect: { timeout: connectTimeoutMs, ...ca } });
  return new ProxyAgent({
    ...common,
    uri: proxy,
    // Proxies often refuse tunnels to anything but TLS.
    proxyTunnel: url.protocol === "https:",
    requestTls: { timeout: connectTimeoutMs, ...ca },
    proxyTls: { timeout: connectTimeoutMs, ...ca },
  });
}

/** The proxy on the way to an address; undefined: none. Pure. */
export function proxyFor(url: URL, proxies: Proxies): string | undefined {
  const proxy = url.protocol === "https:" ? proxies.https : proxies.http;
  const entries = (proxies.not ?? "").split(/[\s,]+/).filter(Boolean);
  return entries.some((entry) => isMeant(url, entry.toLowerCase())) ? undefined : proxy;
}

function isMeant(url: URL, entry: string): boolean {
  if (entry === "*") return true;
  const host = url.hostname.replace(/^\[|\]$/g, "").toLowerCase();
  const port = url.port === "" ? (url.protocol === "https:" ? "443" : "80") : url.port;
  const [, name = entry, itsPort] = /^(.*[^:]):(\d+)$/.exec(entry) ?? [];
  if (itsPort !== undefined && isIP(entry) === 0 && itsPort !== port) return false;
  const bare = (isIP(entry) === 0 ? name : entry).replace(/^\[|\]$/g, "");
  if (bare.includes("/")) return inNetwork(host, bare);
  const suffix = bare.replace(/^\*?\./, "");
  return host === suffix || (isIP(host) === 0 && host.endsWith(`.${suffix}`));
}

function inNetwork(host: string, network: string): boolean {
  const [address = "", bits = ""] = network.split("/");
  const family = isIP(address);
  if (isIP(host) !== family || family === 0 || !/^\d{1,3}$/.test(bits) || Number(bits) > (family === 4 ? 32 : 128))
    return false;
  const type = family === 4 ? "ipv4" : "ipv6";
  const list = new BlockList();
  list.addSubnet(address, Number(bits), type);
  return list.check(host, type);
}
