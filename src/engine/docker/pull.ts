import type { IncomingMessage } from "node:http";
import { createInterface } from "node:readline";
import type { Clock } from "../../lib/clock.ts";
import { EngineError, type Image, type PullOptions } from "../engine.ts";
import type { Client } from "./client.ts";
import { findImage } from "./image.ts";
import { PullLine, PullProgress } from "./pull-progress.ts";
import { checkedReference, pullTarget } from "./reference.ts";
import { meaningOf } from "./words.ts";

export interface Puller {
  client: Client;
  clock: Clock;
  /** A registry of which nothing was heard for so long is taken for dead. */
  silenceMs: number;
}

export async function pullImage(puller: Puller, reference: string, options: PullOptions): Promise<Image> {
  const { client, clock, silenceMs } = puller;
  const what = `pull image ${reference}`;
  const { name, tag } = pullTarget(reference);
  const { transport } = await client.session(options.signal);
  const quiet = new AbortController();
  const signal = AbortSignal.any([options.signal, quiet.signal]);
  const timer = setTimeout(() => quiet.abort(), silenceMs);
  const progress = new PullProgress(clock, options.onProgress ?? (() => {}));
  const query = { fromImage: name, tag };
  const headers = authHeaders(options);
  try {
    const request = { method: "POST", path: "/images/create", query, headers, what, signal } as const;
    await transport.stream({ ...request, situation: "pull", timeoutMs: "none" }, async (body) => {
      await followPull(body, what, (line) => {
        timer.refresh();
        progress.take(line);
      });
    });
  } catch (error) {
    if (!quiet.signal.aborted || options.signal.aborted) throw error;
    throw new EngineError("registry", `${what}: no progress for ${silenceMs / 1000} s`, { cause: error });
  } finally {
    clearTimeout(timer);
  }
  const image = await findImage(client, reference, options.signal);
  if (image === undefined) throw new EngineError("failed", `${what}: the engine says it has it and does not find it`);
  return image;
}

/** Podman has no such call, and asks the registry at each pull. */
export async function checkAccess(
  puller: Puller,
  reference: string,
  options: Pick<PullOptions, "signal" | "credentials">,
): Promise<void> {
  const { client } = puller;
  const { dialect } = await client.session(options.signal);
  if (!dialect.asksRegistries) return void (await pullImage(puller, reference, options));
  const path = `/distribution/${checkedReference(reference)}/json`;
  const what = `ask the registry for image ${reference}`;
  const request = { method: "GET", path, headers: authHeaders(options), what, situation: "pull" } as const;
  await client.call({ ...request, signal: options.signal, timeoutMs: client.longCallTimeoutMs });
}

async function followPull(body: IncomingMessage, what: string, onLine: (line: PullLine) => void): Promise<void> {
  for await (const text of createInterface({ input: body, crlfDelay: Number.POSITIVE_INFINITY })) {
    const line = parseLine(text);
    if (line === undefined) continue;
    if (line.error !== undefined) {
      throw new EngineError(meaningOf(line.error, "pull") ?? "registry", `${what}: ${line.error}`);
    }
    onLine(line);
  }
  if (!body.complete) throw new Error("the pull broke off in the middle");
}

function parseLine(text: string): PullLine | undefined {
  if (text.trim() === "") return undefined;
  try {
    return PullLine.parse(JSON.parse(text));
  } catch {
    // Progress is for people: a line that is none of ours is not worth failing a pull for.
    return undefined;
  }
}

function authHeaders({ credentials }: Pick<PullOptions, "credentials">): Record<string, string> {
  return credentials === undefined ? {} : { "X-Registry-Auth": registryAuth(credentials) };
}

/** Padded: Docker ignores what it cannot decode, and then asks the registry without credentials. */
function registryAuth(credentials: { username: string; password: string }): string {
  const text = Buffer.from(JSON.stringify(credentials)).toString("base64url");
  return text.padEnd(Math.ceil(text.length / 4) * 4, "=");
}
