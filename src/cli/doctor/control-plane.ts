import { request } from "undici";
import type { Finding } from "../../engine/fitness/assess.ts";
import { checkedUrl } from "../host/options.ts";

const timeoutMs = 10_000;
const skewMs = 5_000;

/** Whether the control plane can be reached from here, and agrees on the time. Throws CommandError for an address that is none. */
export async function assessControlPlane(host: string, signal: AbortSignal): Promise<Finding[]> {
  const url = checkedUrl(host, "the host");
  const where = new URL(url).origin;
  try {
    const { statusCode, headers, body } = await request(`${where}/ready`, {
      signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
    });
    await body.dump();
    return [reached(where, statusCode), ...clock(where, headers["date"]), ...plainText(url)];
  } catch (error) {
    return [
      {
        id: "control-plane",
        level: "bad",
        what: `the control plane at ${where} cannot be reached: ${reasonOf(error)}`,
        next: "Look at the address, the way there (proxy, firewall), and whether its certificate is one that this host trusts.",
      },
    ];
  }
}

function reached(where: string, status: number): Finding {
  if (status === 200) return { id: "control-plane", level: "ok", what: `the control plane at ${where} is ready` };
  const next = "Look at the log of the control plane, and whether another server answers at this address.";
  return { id: "control-plane", level: "bad", what: `${where} answers with status ${status}, not ready`, next };
}

function clock(where: string, date: string | string[] | undefined): Finding[] {
  const theirs = Date.parse(String(date));
  if (Number.isNaN(theirs)) return [];
  const offMs = Math.abs(theirs - Date.now());
  if (offMs <= skewMs)
    return [{ id: "control-plane-clock", level: "ok", what: `${where} and this host agree on the time` }];
  return [
    {
      id: "control-plane-clock",
      level: "warning",
      what: `the clock of ${where} is ${Math.round(offMs / 1000)} s off this host's: times in logs will not fit together`,
      next: "Run an NTP client on both.",
    },
  ];
}

function plainText(url: string): Finding[] {
  const { protocol, hostname } = new URL(url);
  if (protocol === "https:" || ["localhost", "127.0.0.1", "[::1]"].includes(hostname)) return [];
  return [
    {
      id: "control-plane-tls",
      level: "warning",
      what: `${url} is plain HTTP: whoever is on the way reads tokens, output and secrets`,
      next: "Serve it over HTTPS, or keep it on a network that is yours alone.",
    },
  ];
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error.name === "TimeoutError") return `no answer within ${timeoutMs / 1000} s`;
  return error.message || ("code" in error ? String(error.code) : error.name);
}
