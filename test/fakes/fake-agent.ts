import { Agent, type Dispatcher, request } from "undici";
import type { ListenAddress } from "../../src/control-plane/index.ts";
import { agentApi, ClaimResponse, framesMediaType } from "../../src/protocol/agent-api.ts";
import { encodeFrame } from "../../src/protocol/frames.ts";
import type { Lane, RecordBody, TaskStatus } from "../../src/protocol/records.ts";

/** An answer as it came: its body as JSON where it is JSON. */
export interface Answer {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  json: unknown;
  bytes: Buffer;
}

type Method = "GET" | "POST" | "PUT" | "HEAD" | "PATCH" | "DELETE";
type Body = Dispatcher.DispatchOptions["body"];

/** Speaks the agent API over real HTTP, a call at a time, and does nothing by itself. */
export class FakeAgent implements AsyncDisposable {
  readonly #address: ListenAddress;
  readonly #dispatcher: Agent;

  constructor(address: ListenAddress) {
    this.#address = address;
    this.#dispatcher = new Agent(
      address.socketPath === undefined ? {} : { connect: { socketPath: address.socketPath } },
    );
  }

  async call(
    method: Method,
    path: string,
    options: { token?: string; body?: Body; json?: unknown; type?: string; signal?: AbortSignal } = {},
  ): Promise<Answer> {
    const type = options.json === undefined ? options.type : "application/json";
    const body = options.json === undefined ? options.body : JSON.stringify(options.json);
    const answer = await request(new URL(path, this.#address.url), {
      method,
      dispatcher: this.#dispatcher,
      headers: {
        ...(options.token === undefined ? {} : { authorization: `Bearer ${options.token}` }),
        ...(type === undefined ? {} : { "content-type": type }),
      },
      ...(body === undefined ? {} : { body }),
      ...(options.signal ? { signal: options.signal } : {}),
    });
    const bytes = Buffer.from(await answer.body.arrayBuffer());
    const isJson = String(answer.headers["content-type"]).startsWith("application/json");
    const json: unknown = isJson && bytes.byteLength > 0 ? JSON.parse(bytes.toString("utf8")) : undefined;
    return { status: answer.statusCode, headers: answer.headers, json, bytes };
  }

  /** Undefined when there is no task. */
  async claim(
    token: string,
    options: { name?: string; claimId?: string; waitMs?: number; session?: string; repeatOnly?: boolean } = {},
  ): Promise<Held | undefined> {
    const { name = "agent", claimId, waitMs = 0, session, repeatOnly } = options;
    const answer = await this.call("POST", agentApi.claim, {
      token,
      json: { name, wait_ms: waitMs, claim_id: claimId, session, repeat_only: repeatOnly },
    });
    if (answer.status === 204) return undefined;
    if (answer.status !== 200) throw new Error(`claim answered ${answer.status}: ${answer.bytes.toString("utf8")}`);
    return new Held(this, ClaimResponse.parse(answer.json));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#dispatcher.destroy();
  }
}

/** A task that was claimed, and what its agent says of it. */
export class Held {
  readonly task: ClaimResponse["task"];
  readonly token: string;
  /** In the queue, as the claim says. */
  readonly waitedMs: number | undefined;
  readonly #agent: FakeAgent;
  readonly #claim: ClaimResponse;
  readonly #sent = new Map<Lane, number>();

  constructor(agent: FakeAgent, claim: ClaimResponse) {
    this.#agent = agent;
    this.#claim = claim;
    this.task = claim.task;
    this.token = claim.task_token;
    this.waitedMs = claim.waited_ms;
  }

  /** The same task, over another connection. */
  over(agent: FakeAgent): Held {
    return new Held(agent, this.#claim);
  }

  async call(method: Method, path: string, options: Parameters<FakeAgent["call"]>[2] = {}): Promise<Answer> {
    return await this.#agent.call(method, path, { token: this.token, ...options });
  }

  /** Sends records with their next numbers, in one post. */
  async send(records: (RecordBody | [RecordBody, Buffer])[], lane: Lane = "task"): Promise<Answer> {
    const first = (this.#sent.get(lane) ?? 0) + 1;
    this.#sent.set(lane, first + records.length - 1);
    return await this.sendFrom(first, records, lane);
  }

  async sendFrom(first: number, records: (RecordBody | [RecordBody, Buffer])[], lane: Lane = "task"): Promise<Answer> {
    const frames = records.map((entry, index) => {
      const [record, bytes] = Array.isArray(entry) ? entry : [entry, undefined];
      return encodeFrame({ type: "record", seq: first + index, record }, bytes);
    });
    return await this.post(Buffer.concat(frames), lane);
  }

  async post(body: Body, lane: Lane = "task"): Promise<Answer> {
    return await this.call("POST", `${agentApi.records}?lane=${lane}`, { body, type: framesMediaType });
  }

  /** One step with this output, and the end of the task. */
  async finish(status: TaskStatus = "success", output = ""): Promise<Answer> {
    const records: (RecordBody | [RecordBody, Buffer])[] = [started(100)];
    if (output !== "") records.push(piece(100, 0, output));
    const outcome = status === "success" ? ({ kind: "succeeded" } as const) : ({ kind: "exited", code: 1 } as const);
    records.push({ type: "step-ended", step: 100, outcome, atMs: 2 }, { type: "task-ended", status, atMs: 3 });
    return await this.send(records);
  }
}

export function started(step: number): RecordBody {
  return { type: "step-started", step, name: `step ${step}`, kind: "run", atMs: 1 };
}

/** A piece of output as it is, without compression. */
export function piece(step: number, offset: number, text: string | Buffer): [RecordBody, Buffer] {
  const bytes = Buffer.from(text);
  return [{ type: "output", step, stream: "stdout", offset, length: bytes.byteLength, encoding: "identity" }, bytes];
}
