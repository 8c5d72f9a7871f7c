import { text } from "node:stream/consumers";
import { http } from "../../lib/http.ts";
import { parseAddress } from "./server.ts";

const timeoutMs = 5_000;

/** Asks the agent on this host whether it is live or ready, for a health check that has no shell. Never rejects. */
export async function askHealth(address: string, what: "live" | "ready"): Promise<{ ok: boolean; said: string }> {
  if (address === "none") return { ok: false, said: "COFFERDAM_HEALTH_ADDRESS is none: nothing is served\n" };
  const { host, port } = parseAddress(address);
  const hostname = host === "" || host === "0.0.0.0" || host === "::" ? "127.0.0.1" : host;
  try {
    return await ask({ hostname, port, path: `/${what}` });
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return { ok: false, said: `nothing answers at ${hostname}:${port}: ${why}\n` };
  }
}

function ask(url: { hostname: string; port: number; path: string }): Promise<{ ok: boolean; said: string }> {
  return new Promise((resolve, reject) => {
    const request = http.get({ ...url, signal: AbortSignal.timeout(timeoutMs) }, (response) => {
      text(response).then((said) => resolve({ ok: response.statusCode === 200, said }), reject);
    });
    request.once("error", reject);
  });
}
