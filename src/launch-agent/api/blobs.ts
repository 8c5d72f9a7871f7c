import type { Readable } from "node:stream";
import type { Clock } from "../../lib/clock.ts";
import type { Secret } from "../../lib/secret.ts";
import { agentApi, archiveMediaType, cacheKeyHeader, WorkspaceLayers } from "../../protocol/agent-api.ts";
import { type Answer, type Call, type Http, parseAnswer, refused } from "./http.ts";
import { withRetries } from "./retry.ts";

export interface BlobsOptions {
  token: Secret;
  clock: Clock;
  random: () => number;
  timeoutMs: number;
}

export interface Download {
  body: Readable;
  /** Where the server says it. */
  sizeBytes?: number;
  /** Caches: the key that matched. */
  key?: string;
}

/** How long a call that has sent nothing yet is tried again. */
const giveUpAfterMs = 60_000;

/**
 * Streams between a task and the control plane; nothing is held here. A download is tried again until its first byte,
 * an upload is not: its bytes come out of a container and pass by once. Failures are ApiFailure.
 */
export class Blobs {
  readonly #http: Http;
  readonly #options: BlobsOptions;

  constructor(http: Http, options: BlobsOptions) {
    this.#http = http;
    this.#options = options;
  }

  /** The newest cache whose key begins with one of the keys, in order; undefined when there is none. */
  async restoreCache(keys: readonly string[], signal: AbortSignal): Promise<Download | undefined> {
    return await this.#get(
      agentApi.cache,
      keys.map((key) => ["key", key]),
      signal,
    );
  }

  async hasCache(key: string, signal: AbortSignal): Promise<boolean> {
    const call = this.#call("HEAD", agentApi.cache, [["key", key]], signal);
    const answer = await this.#retry(signal, async () => await this.#expect(call, [200, 404]));
    answer.body.resume();
    return answer.status === 200;
  }

  /** False when the key was taken before. */
  async saveCache(key: string, body: Readable, signal: AbortSignal): Promise<boolean> {
    const call = { ...this.#call("PUT", agentApi.cache, [["key", key]], signal), contentType: archiveMediaType };
    return (await this.#put({ ...call, body })) === 201;
  }

  async workspaceLayers(signal: AbortSignal): Promise<WorkspaceLayers> {
    const call = this.#call("GET", agentApi.workspace, [], signal);
    return await this.#retry(signal, async () => {
      const { text } = await this.#http.text(call, [200]);
      return parseAnswer(WorkspaceLayers, text, `GET ${agentApi.workspace}`);
    });
  }

  async fetchLayer(layer: string, signal: AbortSignal): Promise<Download | undefined> {
    return await this.#get(agentApi.workspaceLayer(layer), [], signal);
  }

  async persistLayer(step: number, body: Readable, signal: AbortSignal): Promise<void> {
    const call = this.#call("PUT", agentApi.workspace, [["step", String(step)]], signal);
    await this.#put({ ...call, body, contentType: archiveMediaType });
  }

  async storeArtifact(path: string, body: Readable, signal: AbortSignal): Promise<void> {
    const call = this.#call("PUT", agentApi.artifacts, [["path", path]], signal);
    await this.#put({ ...call, body, contentType: "application/octet-stream" });
  }

  async storeTestResults(step: number, body: Readable, signal: AbortSignal): Promise<void> {
    const call = this.#call("PUT", agentApi.testResults, [["step", String(step)]], signal);
    await this.#put({ ...call, body, contentType: "application/json" });
  }

  async continuePipeline(body: Readable, signal: AbortSignal): Promise<void> {
    const call = this.#call("POST", agentApi.continue, [], signal);
    await this.#put({ ...call, body, contentType: "application/json" });
  }

  async source(
    wanted: { method: string; depth?: number | undefined },
    signal: AbortSignal,
  ): Promise<Download | undefined> {
    const query: [string, string][] = [["method", wanted.method]];
    if (wanted.depth !== undefined) query.push(["depth", String(wanted.depth)]);
    return await this.#get(agentApi.source, query, signal);
  }

  async #get(path: string, query: [string, string][], signal: AbortSignal): Promise<Download | undefined> {
    const call = this.#call("GET", path, query, signal);
    const answer = await this.#retry(signal, async () => await this.#expect(call, [200, 204]));
    if (answer.status === 204) {
      answer.body.resume();
      return undefined;
    }
    const sizeBytes = Number(answer.header("content-length") ?? Number.NaN);
    const key = answer.header(cacheKeyHeader);
    return {
      body: answer.body,
      ...(Number.isSafeInteger(sizeBytes) ? { sizeBytes } : {}),
      ...(key === undefined ? {} : { key: decodeKey(key) }),
    };
  }

  /** The status: 201 stored, 200 was there already. Its deadline is between bytes, not over all: an upload may be long. */
  async #put(call: Call): Promise<number> {
    const answer = await this.#expect(call, [200, 201, 204]);
    answer.body.resume();
    return answer.status;
  }

  async #expect(call: Call, statuses: readonly number[]): Promise<Answer> {
    const answer = await this.#http.open(call);
    if (!statuses.includes(answer.status)) throw await refused(call, answer);
    return answer;
  }

  #call(method: Call["method"], path: string, query: [string, string][], signal: AbortSignal): Call {
    return { method, path, query, token: this.#options.token, timeoutMs: this.#options.timeoutMs, signal };
  }

  async #retry<T>(signal: AbortSignal, attempt: () => Promise<T>): Promise<T> {
    const { clock, random } = this.#options;
    return await withRetries(attempt, { clock, random, signal, giveUpAfterMs });
  }
}

/** Keys travel percent-encoded where they hold what a header cannot. */
function decodeKey(header: string): string {
  try {
    return decodeURIComponent(header);
  } catch {
    return header;
  }
}
