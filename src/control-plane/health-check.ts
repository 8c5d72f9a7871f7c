import { Agent, request } from "undici";
import { type Options, tlsOf } from "./options.ts";

const timeoutMs = 5_000;

/** Asks the server of this very host whether it is ready: for a HEALTHCHECK of an image that has no shell. Undefined: it is. */
export async function healthProblem(options: Options): Promise<string | undefined> {
  const url = `${tlsOf(options) ? "https" : "http"}://${hostOf(options)}:${options.COFFERDAM_PORT}/ready`;
  // It is this machine: whether others trust the certificate is not what is asked.
  const dispatcher = new Agent({ connect: { rejectUnauthorized: false } });
  try {
    const { statusCode, body } = await request(url, { dispatcher, signal: AbortSignal.timeout(timeoutMs) });
    await body.dump();
    return statusCode === 200 ? undefined : `${url} answered ${statusCode}`;
  } catch (error) {
    return `${url} cannot be asked: ${error instanceof Error ? error.message : String(error)}`;
  } finally {
    await dispatcher.destroy();
  }
}

function hostOf({ COFFERDAM_HOST: host }: Options): string {
  if (host === "0.0.0.0") return "127.0.0.1";
  if (host === "::") return "[::1]";
  return host.includes(":") ? `[${host}]` : host;
}
