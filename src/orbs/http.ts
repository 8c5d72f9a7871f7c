import { Agent, request } from "undici";

export interface HttpAnswer {
  status: number;
  text: string;
}

interface HttpQuestion {
  url: string;
  /** Sent as JSON by POST; without it the question is a GET. */
  json?: unknown;
  headers?: Record<string, string>;
  signal?: AbortSignal | undefined;
}

/** Asks a server on the network. Rejects when it can't be asked: not reachable, too slow, or too much of an answer. */
export type AskHttp = (question: HttpQuestion) => Promise<HttpAnswer>;

/** Time for one whole answer. Configs wait for it, so a registry that hangs must not be waited for long. */
const timeoutMs = 15_000;
/** Where there is no network, one should not have to wait to be told so. */
const network = new Agent({ connect: { timeout: 3_000 } });
/** The biggest orbs that people publish are about a tenth of it. */
const maxAnswerBytes = 8 * 1024 * 1024;

/** Redirects are not followed: who allows one address has not allowed another. */
export const askHttp: AskHttp = async ({ url, json, headers, signal }) => {
  const deadline = AbortSignal.timeout(timeoutMs);
  const { statusCode, body } = await request(url, {
    method: json === undefined ? "GET" : "POST",
    headers: { accept: "*/*", ...(json === undefined ? {} : { "content-type": "application/json" }), ...headers },
    body: json === undefined ? null : JSON.stringify(json),
    signal: signal ? AbortSignal.any([signal, deadline]) : deadline,
    dispatcher: network,
  });
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  for await (const chunk of body as AsyncIterable<Buffer>) {
    sizeBytes += chunk.length;
    if (sizeBytes > maxAnswerBytes) throw new Error(`the answer is bigger than ${maxAnswerBytes} bytes`);
    chunks.push(chunk);
  }
  return { status: statusCode, text: Buffer.concat(chunks).toString("utf8") };
};

/** Why it failed, in a few words for people. */
export function failureOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error.name === "TimeoutError") return `no answer within ${timeoutMs / 1000} s`;
  return error.message || ("code" in error ? String(error.code) : error.name);
}
