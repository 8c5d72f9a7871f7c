import type { ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { http } from "../../lib/http.ts";
import type { Readiness } from "./readiness.ts";

export interface HealthOptions {
  /** `HOST:PORT` or `:PORT`. */
  address: string;
  ready: () => Promise<Readiness>;
  /** In the format of Prometheus. */
  metrics: () => Promise<string>;
}

export interface HealthServer {
  /** As it listens: `0.0.0.0:7623`. */
  address: string;
  close(): Promise<void>;
}

/** Serves /live, /ready and /metrics, to whoever asks: none of them says anything secret. Throws Error when the address cannot be had. */
export async function serveHealth(options: HealthOptions): Promise<HealthServer> {
  const server = http.createServer((request, response) => {
    const path = (request.url ?? "").split("?")[0];
    if (request.method !== "GET" && request.method !== "HEAD") return say(response, 405, "only GET is known here\n");
    if (path === "/live") return say(response, 200, "live\n");
    answer(path, options, response).catch((error: unknown) => {
      say(response, 500, `${error instanceof Error ? error.message : String(error)}\n`);
    });
  });
  // Probes are small and rare: what takes longer is no probe.
  server.headersTimeout = 5_000;
  server.requestTimeout = 5_000;
  server.maxConnections = 100;
  const { host, port } = parseAddress(options.address);
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen({ port, ...(host === "" ? {} : { host }) }, resolve);
  }).catch((error: unknown) => {
    const why =
      error instanceof Error && "code" in error && error.code === "EADDRINUSE"
        ? "somebody listens there already"
        : String(error);
    throw new Error(`COFFERDAM_HEALTH_ADDRESS: cannot listen at ${options.address}: ${why}. Set another one, or none`);
  });
  // It is no reason to stay.
  server.unref();
  return {
    address: `${host === "" ? "0.0.0.0" : host}:${(server.address() as AddressInfo).port}`,
    close: async () => {
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

async function answer(path: string | undefined, options: HealthOptions, response: ServerResponse): Promise<void> {
  if (path === "/ready") {
    const readiness = await options.ready();
    return say(response, readiness.ready ? 200 : 503, `${JSON.stringify(readiness)}\n`, "application/json");
  }
  if (path === "/metrics") {
    return say(response, 200, await options.metrics(), "text/plain; version=0.0.4; charset=utf-8");
  }
  say(response, 404, "there are /live, /ready and /metrics\n");
}

function say(response: ServerResponse, status: number, body: string, type = "text/plain; charset=utf-8"): void {
  response.writeHead(status, { "content-type": type, "cache-control": "no-store" }).end(body);
}

export function parseAddress(address: string): { host: string; port: number } {
  const at = address.lastIndexOf(":");
  return { host: address.slice(0, at).replace(/^\[|\]$/g, ""), port: Number(address.slice(at + 1)) };
}
