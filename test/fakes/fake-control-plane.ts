import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { type AddressInfo } from "node:net";
import { agentApi, ClaimRequest, cacheKeyHeader, type ImagePin } from "../../src/protocol/agent-api.ts";
import { FrameDecoder } from "../../src/protocol/frames.ts";
import { type Lane, RecordFrame, type TaskEnded } from "../../src/protocol/records.ts";
import type { Task } from "../../src/protocol/task.ts";
import { endOf, type FakeTask, type StoredRecord } from "./fake-task.ts";

export type { FakeTask } from "./fake-task.ts";

/** A whole answer in place of the usual one. Undefined: the usual one. */
export type Fault = (call: {
  method: string;
  path: string;
  query: URLSearchParams;
  response: ServerResponse;
}) => boolean | undefined;

/** The far side of the launch agent's HTTP, in memory, over a real socket. Obeys tests in how it fails. */
export class FakeControlPlane {
  readonly classToken = "class-token";
  /** Names of classes, by their tokens. A test may take one away. */
  readonly classes = new Map([[this.classToken, "ns/class"]]);
  readonly tasks = new Map<string, FakeTask>();
  readonly blobs = new Map<string, Buffer>();
  readonly claims: { claimId: string; name: string; tokens: string[] }[] = [];
  readonly calls: string[] = [];
  /** By pipeline and name. */
  readonly pins = new Map<string, string>();
  /** Of agents, by name. Who opens one later wins: none of the earlier ones gives a sign of life here. */
  readonly sessions = new Map<string, string>();
  /** Set by a test: in these classes the one process that has every name. */
  readonly holders = new Map<string, string>();
  fault: Fault | undefined;
  unclaimStatus = 200;
  /** Of processes that others took over from. */
  readonly staleTokens = new Set<string>();
  #queue: FakeTask[] = [];
  #handedOut = new Map<string, FakeTask>();
  #server: Server;
  #wake = new Set<() => void>();

  constructor() {
    this.#server = createServer((request, response) => {
      this.#serve(request, response).catch((error: unknown) => {
        if (!response.headersSent) response.writeHead(500);
        response.end(JSON.stringify({ code: "fake", message: String(error) }));
      });
    });
  }

  async listen(port = 0): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(port, "127.0.0.1", resolve));
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async close(): Promise<void> {
    this.#notify();
    this.#server.closeAllConnections();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  enqueue(task: Task, resourceClass?: string): FakeTask {
    const token = `token-${task.id}-${task.attempt}`;
    const fake: FakeTask = { task, token, records: [], heartbeats: 0, unclaimed: [], resourceClass };
    this.tasks.set(token, fake);
    this.#queue.push(fake);
    this.#notify();
    return fake;
  }

  cancel(task: FakeTask, reason: string): void {
    task.cancel = reason;
    this.#notify();
  }

  /** Its agent was not heard of: whatever it sends is stale, and the next attempt is in the queue. */
  expireLease(task: FakeTask): FakeTask {
    this.fence(task);
    return this.enqueue({ ...task.task, attempt: task.task.attempt + 1 }, task.resourceClass);
  }

  /** From now on another attempt runs. */
  fence(task: FakeTask): void {
    task.stale = true;
    this.#notify();
  }

  /** Waits until it holds. Polls nothing: looks again whenever something was called. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await this.#change();
  }

  /** How the task ended, once it has. */
  async ended(task: FakeTask, lane?: Lane): Promise<TaskEnded> {
    for (;;) {
      const end = endOf(task, lane);
      if (end) return end;
      await this.#change();
    }
  }

  #change(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake.add(resolve);
    });
  }

  #notify(): void {
    const wake = [...this.#wake];
    this.#wake.clear();
    for (const resume of wake) resume();
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? "/", "http://fake");
    const method = request.method ?? "GET";
    this.calls.push(`${method} ${url.pathname}${url.search}`);
    if (this.fault?.({ method, path: url.pathname, query: url.searchParams, response })) return;
    if (url.pathname === agentApi.class) this.#class(request, response);
    else if (url.pathname === agentApi.claim) await this.#claim(request, response);
    else if (url.pathname === agentApi.session) await this.#session(request, response);
    else if (url.pathname === agentApi.closeSession) answer(response, 200, {});
    else if (url.pathname === agentApi.adopt) await this.#adopt(request, response);
    else if (url.pathname === agentApi.unclaim) await this.#unclaim(request, response);
    else await this.#task(request, response, url);
    this.#notify();
  }

  #class(request: IncomingMessage, response: ServerResponse): void {
    const resource_class = this.classes.get(bearer(request));
    if (resource_class === undefined) return refuse(response, 401, "unauthorized");
    answer(response, 200, { resource_class });
  }

  async #claim(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (!this.classes.has(bearer(request))) return refuse(response, 401, "unauthorized");
    const { claim_id, name, wait_ms, more_tokens, session, repeat_only } = ClaimRequest.parse(
      JSON.parse((await read(request)).toString()),
    );
    const tokens = [bearer(request), ...(more_tokens ?? [])];
    this.claims.push({ claimId: claim_id ?? "", name, tokens });
    if (tokens.some((token) => this.#isTaken(token, session))) return refuse(response, 409, "name-taken");
    this.#notify();
    const endsAt = Date.now() + wait_ms;
    let task = this.#handedOut.get(claim_id ?? "") ?? (repeat_only === true ? undefined : this.#shift(tokens));
    while (!task && Date.now() < endsAt && !response.destroyed) {
      await Promise.race([this.#change(), new Promise((resolve) => setTimeout(resolve, endsAt - Date.now()).unref())]);
      // What comes now is for somebody else.
      if (response.destroyed) return;
      task = this.#shift(tokens);
    }
    if (!task) {
      response.writeHead(204).end();
      return;
    }
    if (claim_id !== undefined) this.#handedOut.set(claim_id, task);
    if (session !== undefined) task.session = session;
    answer(response, 200, claimOf(task));
  }

  /** The next one of the classes of these tokens. */
  #shift(tokens: readonly string[]): FakeTask | undefined {
    const next = this.#queue.find((task) => tokens.some((token) => this.#isOf(task, token)));
    this.#queue = this.#queue.filter((task) => task !== next);
    return next;
  }

  #isOf({ resourceClass }: FakeTask, token: string): boolean {
    return resourceClass === undefined || resourceClass === this.classes.get(token);
  }

  #isTaken(token: string, session: string | undefined): boolean {
    const holder = this.holders.get(this.classes.get(token) ?? "");
    return holder !== undefined && holder !== session;
  }

  async #session(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { name, session } = JSON.parse((await read(request)).toString()) as { name: string; session: string };
    if (this.#isTaken(bearer(request), session)) return refuse(response, 409, "name-taken");
    this.sessions.set(name, session);
    answer(response, 200, {});
  }

  async #adopt(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = JSON.parse((await read(request)).toString()) as { session: string; task_id: string; attempt: number };
    const held = [...this.tasks].find(
      ([, { task, stale }]) => task.id === body.task_id && task.attempt === body.attempt && !stale,
    );
    if (!held || !this.#isOf(held[1], bearer(request)) || endOf(held[1]) || held[1].unclaimed.length > 0)
      return refuse(response, 404, "not-found");
    const [token, task] = held;
    this.tasks.delete(token);
    task.token = `${task.token}+`;
    task.session = body.session;
    this.tasks.set(task.token, task);
    this.staleTokens.add(token);
    const stored = (lane: Lane) => task.records.filter((record) => record.lane === lane);
    answer(response, 200, {
      ...claimOf(task),
      begun: stored("task").length > 0,
      acked: { launch: stored("launch").length, task: stored("task").length },
      open_steps: openSteps(stored("launch")),
    });
  }

  async #unclaim(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = JSON.parse((await read(request)).toString()) as { task_token: string; reason?: string };
    const task = this.tasks.get(body.task_token);
    if (!task) return refuse(response, 404, "not-found");
    task.unclaimed.push(body.reason ?? "");
    if (this.unclaimStatus === 200) answer(response, 200, {});
    else refuse(response, this.unclaimStatus, "too-many-attempts");
  }

  async #task(request: IncomingMessage, response: ServerResponse, url: URL): Promise<void> {
    if (this.staleTokens.has(bearer(request))) return refuse(response, 409, "adopted");
    const task = this.tasks.get(bearer(request));
    if (!task) return refuse(response, 401, "unauthorized");
    if (task.stale) return refuse(response, 409, "stale-attempt");
    if (url.pathname === agentApi.heartbeat) return await this.#heartbeat(task, request, response);
    if (url.pathname === agentApi.records) {
      return answer(response, 200, { acked: store(task, url.searchParams.get("lane") as Lane, await read(request)) });
    }
    if (url.pathname === agentApi.imagePins) {
      const { reference, digest } = JSON.parse((await read(request)).toString()) as ImagePin;
      const key = `${task.task.pipeline.id} ${reference}`;
      if (!this.pins.has(key)) this.pins.set(key, digest);
      return answer(response, 200, { digest: this.pins.get(key) });
    }
    await this.#blob(request, response, url);
  }

  async #heartbeat(task: FakeTask, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { wait_ms } = JSON.parse((await read(request)).toString()) as { wait_ms: number };
    task.heartbeats++;
    this.#notify();
    const endsAt = Date.now() + wait_ms;
    while (!task.cancel && !task.stale && Date.now() < endsAt && !response.destroyed) {
      await Promise.race([this.#change(), new Promise((resolve) => setTimeout(resolve, endsAt - Date.now()).unref())]);
    }
    if (task.stale) return refuse(response, 409, "stale-attempt");
    answer(response, 200, { lease_ms: 30_000, cancel: task.cancel === undefined ? null : { reason: task.cancel } });
  }

  async #blob(request: IncomingMessage, response: ServerResponse, url: URL): Promise<void> {
    const name = `${url.pathname}?${url.searchParams.get("key") ?? url.searchParams.get("path") ?? ""}`;
    if (request.method === "PUT") {
      const bytes = await read(request);
      const isNew = !this.blobs.has(name);
      if (isNew) this.blobs.set(name, bytes);
      return answer(response, isNew ? 201 : 200, {});
    }
    if (url.pathname === agentApi.workspace)
      return answer(response, 200, { layers: [{ id: "layer-1", sizeBytes: 3 }] });
    const bytes = this.blobs.get(name);
    if (request.method === "HEAD") return void response.writeHead(bytes ? 200 : 404).end();
    if (!bytes) return void response.writeHead(204).end();
    response.writeHead(200, {
      "content-length": bytes.byteLength,
      [cacheKeyHeader]: encodeURIComponent(url.searchParams.get("key") ?? ""),
    });
    response.end(bytes);
  }
}

function claimOf({ task, token, resourceClass = "ns/class" }: FakeTask): object {
  return {
    task_token: token,
    allocation: "a",
    agent_version: "",
    resource_class: resourceClass,
    is_enterprise: false,
    lease_ms: 30_000,
    waited_ms: 7_000,
    task,
  };
}

function openSteps(records: readonly StoredRecord[]): { step: number; bytes: number }[] {
  const open = new Map<number, number>();
  for (const { record } of records) {
    if (record.type === "step-started") open.set(record.step, 0);
    else if (record.type === "step-ended") open.delete(record.step);
    else if (record.type === "output") open.set(record.step, record.offset + record.length);
  }
  return [...open].map(([step, bytes]) => ({ step, bytes }));
}

/** As the real one: what it has is ignored, a gap is a test's mistake. */
function store(task: FakeTask, lane: Lane, frames: Buffer): number {
  const decoder = new FrameDecoder();
  let acked = task.records.filter((record) => record.lane === lane).length;
  for (const { header, body } of decoder.push(frames)) {
    const { seq, record } = RecordFrame.parse(header);
    if (seq <= acked) continue;
    if (seq !== acked + 1) throw new Error(`gap: ${seq} after ${acked}`);
    acked = seq;
    task.records.push({ lane, seq, record, body: Buffer.from(body) });
  }
  return acked;
}

async function read(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks);
}

function bearer(request: IncomingMessage): string {
  return (request.headers.authorization ?? "").replace(/^Bearer /, "");
}

function answer(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
}

function refuse(response: ServerResponse, status: number, code: string): void {
  answer(response, status, { code, message: `fake ${code}` });
}
