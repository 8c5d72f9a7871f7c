import { createHmac } from "node:crypto";
import type { Clock } from "../../lib/clock.ts";
import { Secret } from "../../lib/secret.ts";
import {
  type AdoptRequest,
  AdoptResponse,
  agentApi,
  type ClaimRequest,
  ClaimResponse,
  ClassOfToken,
  framesMediaType,
  HeartbeatResponse,
  type ImagePin,
  ImagePinResponse,
  LaunchAgentRelease,
  type OpenSession,
  RecordsResponse,
} from "../../protocol/agent-api.ts";
import type { Lane } from "../../protocol/records.ts";
import type { Task } from "../../protocol/task.ts";
import { Blobs } from "./blobs.ts";
import { ApiFailure } from "./failure.ts";
import { type ApiAddress, type Call, Http, parseAnswer } from "./http.ts";
import { withRetries } from "./retry.ts";

export interface ApiOptions {
  address: ApiAddress;
  /** Of the resource class: claims tasks where a claim comes with no tokens of its own. */
  token: Secret;
  version: string;
  clock: Clock;
  random: () => number;
  /** Longest wait for an answer, beyond what a long poll asked for. */
  timeoutMs: number;
  /** For metrics: calls that failed, and records that were stored. */
  onFailure?: (failure: ApiFailure) => void;
  onPosted?: (lane: Lane, bytes: number) => void;
}

export interface Claim {
  task: Task;
  /** Stands for this attempt of this task. */
  token: Secret;
  leaseMs: number;
  warning?: string;
  /** The class that the task was queued for. */
  resourceClass: string;
  /** How long it was in the queue; undefined where the control plane does not say. */
  waitedMs?: number;
}

/** A claim of an earlier process of this agent. */
export interface AdoptedClaim extends Claim {
  /** Whether a step may have begun. */
  begun: boolean;
  /** The number of the last stored record of each lane. */
  acked: { launch: number; task: number };
  /** Steps of the launch lane that have not ended, with the bytes of their output that are stored. */
  openSteps: { step: number; bytes: number }[];
}

/** `gap`: the post did not follow on what is stored. Either way `acked` is the number of the last stored record. */
export type RecordsAnswer = { acked: number; gap: boolean };

export type UnclaimAnswer = "taken-back" | "tried-too-often" | "gone";

/** The control plane, as this agent speaks to it. Calls for a task take the token of its claim. */
export class AgentApi {
  readonly #http: Http;
  readonly #options: ApiOptions;

  constructor(options: ApiOptions) {
    this.#options = options;
    this.#http = new Http(options.address, `cofferdam-launch-agent/${options.version}`, options.onFailure);
  }

  /** The class that a token claims tasks of. One try. */
  async classOf(token: Secret, signal: AbortSignal): Promise<ClassOfToken> {
    const { timeoutMs } = this.#options;
    const { text } = await this.#http.text({ method: "GET", path: agentApi.class, token, timeoutMs, signal }, [200]);
    return parseAnswer(ClassOfToken, text, `GET ${agentApi.class}`);
  }

  /**
   * The next task of the class, or of any of the classes that `tokens` are of; undefined when there was none within `wait_ms`. One try:
   * the claim loop backs off.
   */
  async claim(request: ClaimRequest, signal: AbortSignal, tokens: readonly Secret[] = []): Promise<Claim | undefined> {
    const [token = this.#options.token, ...others] = tokens;
    const more = others.length === 0 ? {} : { more_tokens: others.map((other) => other.reveal()) };
    const { status, text } = await this.#http.text(
      this.#post(agentApi.claim, { ...request, ...more }, { token, signal, waitMs: request.wait_ms }),
      [200, 204],
    );
    if (status === 204) return undefined;
    return claimOf(parseAnswer(ClaimResponse, text, `POST ${agentApi.claim}`));
  }

  /** This process is the agent of its name from now on. One try; ApiFailure `name-taken` while another one is. */
  async openSession(request: OpenSession, call: { token: Secret; signal: AbortSignal }): Promise<void> {
    await this.#http.text(this.#post(agentApi.session, request, call), [200]);
  }

  async closeSession(request: OpenSession, call: { token: Secret; signal: AbortSignal }): Promise<void> {
    await this.#http.text(this.#post(agentApi.closeSession, request, call), [200]);
  }

  /** Takes over what an earlier process of this agent ran. Undefined: that attempt is over, or never was this agent's. */
  async adopt(
    request: AdoptRequest,
    options: { token: Secret; signal: AbortSignal; giveUpAfterMs: number },
  ): Promise<AdoptedClaim | undefined> {
    const call = this.#post(agentApi.adopt, request, options);
    try {
      const { text } = await this.#retry(options, () => this.#http.text(call, [200]));
      const answer = parseAnswer(AdoptResponse, text, `POST ${agentApi.adopt}`);
      return { ...claimOf(answer), begun: answer.begun, acked: answer.acked, openSteps: answer.open_steps };
    } catch (error) {
      if (error instanceof ApiFailure && error.notFound) return undefined;
      throw error;
    }
  }

  /** The image, name@sha256:…, that launch agents are to run; undefined where the control plane does not say. One try. */
  async wantedImage(signal: AbortSignal): Promise<string | undefined> {
    const { token, timeoutMs } = this.#options;
    const call: Call = { method: "GET", path: agentApi.launchAgent, token, timeoutMs, signal };
    const { text } = await this.#http.text(call, [200]);
    return parseAnswer(LaunchAgentRelease, text, `GET ${agentApi.launchAgent}`).image;
  }

  /** Says what a tag stands for, and answers what it stands for in this pipeline: the first word counts. */
  async pinImage(
    pin: ImagePin,
    options: { token: Secret; signal: AbortSignal; giveUpAfterMs: number },
  ): Promise<string> {
    const call = this.#post(agentApi.imagePins, pin, options);
    const { text } = await this.#retry(options, () => this.#http.text(call, [200]));
    return parseAnswer(ImagePinResponse, text, `POST ${agentApi.imagePins}`).digest;
  }

  /** Gives a task back that has not begun. */
  async unclaim(
    claim: { taskId: string; token: Secret; reason: string },
    options: { signal: AbortSignal; giveUpAfterMs: number },
  ): Promise<UnclaimAnswer> {
    const body = { task_id: claim.taskId, task_token: claim.token.reveal(), reason: claim.reason.slice(0, 8192) };
    try {
      await this.#retry(options, () =>
        this.#http.text(this.#post(agentApi.unclaim, body, { token: claim.token, signal: options.signal }), [200, 204]),
      );
      return "taken-back";
    } catch (error) {
      if (!(error instanceof ApiFailure)) throw error;
      if (error.status === 404 || error.status === 401 || error.fenced) return "gone";
      if (error.status === 409) return "tried-too-often";
      throw error;
    }
  }

  /** Renews the lease, once. Held by the server up to `waitMs`; answered at once when the task is to end. */
  async heartbeat(token: Secret, waitMs: number, signal: AbortSignal): Promise<HeartbeatResponse> {
    const call = this.#post(agentApi.heartbeat, { wait_ms: waitMs }, { token, signal, waitMs });
    const { text } = await this.#http.text(call, [200]);
    return parseAnswer(HeartbeatResponse, text, `POST ${agentApi.heartbeat}`);
  }

  /** Stores frames of records. Tries until it gives up: what is posted stays the caller's until it is acknowledged. */
  async postRecords(
    post: { token: Secret; lane: Lane; frames: Buffer },
    options: { signal: AbortSignal; giveUpAfterMs: number },
  ): Promise<RecordsAnswer> {
    const call: Call = {
      method: "POST",
      path: agentApi.records,
      query: [["lane", post.lane]],
      token: post.token,
      body: post.frames,
      contentType: framesMediaType,
      timeoutMs: this.#options.timeoutMs,
      signal: options.signal,
    };
    return await this.#retry(options, async () => {
      const { status, text } = await this.#http.text(call, [200, 409]);
      const answer = parseRecordsAnswer(status, text);
      if (!answer.gap) this.#options.onPosted?.(post.lane, post.frames.byteLength);
      return answer;
    });
  }

  /** What only agents of the token's class can say of a subject. */
  prove(subject: string, token = this.#options.token): string {
    return createHmac("sha256", token.reveal()).update(subject).digest("base64url");
  }

  /** Caches, workspaces, artifacts, test results and sources of one task. */
  blobs(token: Secret): Blobs {
    return new Blobs(this.#http, { ...this.#options, token });
  }

  async close(): Promise<void> {
    await this.#http.close();
  }

  #post(path: string, body: object, call: { token: Secret; signal: AbortSignal; waitMs?: number }): Call {
    return {
      method: "POST",
      path,
      token: call.token,
      body: Buffer.from(JSON.stringify(body)),
      contentType: "application/json",
      timeoutMs: this.#options.timeoutMs + (call.waitMs ?? 0),
      signal: call.signal,
    };
  }

  async #retry<T>(options: { signal: AbortSignal; giveUpAfterMs: number }, attempt: () => Promise<T>): Promise<T> {
    return await withRetries(attempt, { clock: this.#options.clock, random: this.#options.random, ...options });
  }
}

function claimOf(answer: ClaimResponse): Claim {
  return {
    task: answer.task,
    token: new Secret(answer.task_token),
    leaseMs: answer.lease_ms,
    resourceClass: answer.resource_class,
    ...(answer.waited_ms === undefined ? {} : { waitedMs: answer.waited_ms }),
    ...(answer.warning ? { warning: answer.warning } : {}),
  };
}

/** 409 is a gap when it says how far the lane is stored, and a refusal like any other when it does not. */
function parseRecordsAnswer(status: number, text: string): RecordsAnswer {
  if (status === 200) {
    return { ...parseAnswer(RecordsResponse, text, `POST ${agentApi.records}`), gap: false };
  }
  const said = parseJson(text);
  const gap = RecordsResponse.safeParse(said);
  if (gap.success) return { ...gap.data, gap: true };
  const code = typeof said === "object" && said !== null && "code" in said ? String(said.code) : "unknown";
  const message = typeof said === "object" && said !== null && "message" in said ? String(said.message) : text;
  throw new ApiFailure(`POST ${agentApi.records}: 409 ${message.slice(0, 500)}`, { status, code });
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
