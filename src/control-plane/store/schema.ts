import type { Insertable, Selectable } from "kysely";

/**
 * The rows. Times are milliseconds since the epoch; columns that end in `_json` hold JSON; flags are 0 or 1, because not
 * every database has booleans.
 */
export interface Schema {
  counter: { name: string; value: number };
  resource_class: ResourceClassTable;
  /** Tokens that claim tasks of a class. `hash` is the token's SHA-256 in hex. */
  class_token: { id: string; resource_class: string; nickname: string; hash: string; created_ms: number };
  pipeline: PipelineTable;
  /** What a name of an image stands for in this pipeline: for tasks of this class, or, where that is empty, for all that follow no list of their own. */
  image_pin: { pipeline_id: string; resource_class: string; reference: string; digest: string };
  workflow: WorkflowTable;
  job: JobTable;
  task: TaskTable;
  /** Tokens that stand for one attempt of one task. They outlive it, so that a stale one is told apart from an unknown one. */
  task_token: { hash: string; task_id: string; attempt: number; session: string | null };
  agent_session: AgentSessionTable;
  lane: { task_id: string; attempt: number; lane: string; acked: number };
  event: EventTable;
  cache: { id: string; project: string; key: string; created_order: number; created_ms: number } & StoredBlob;
  workspace_layer: { id: string; job_id: string; task_id: string; attempt: number; step: number } & StoredBlob;
  artifact: { task_id: string; attempt: number; path: string } & StoredBlob;
  /** Tokens that stand for a person. `hash` is the token's SHA-256 in hex. */
  user_token: { id: string; name: string; hash: string; created_ms: number };
  orb_version: OrbVersionTable;
  /** Texts of orbs. `hash` is the text's SHA-256 in hex. */
  orb_text: { hash: string; text: string };
  schedule: ScheduleTable;
  agent: AgentTable;
  test_results: { task_id: string; attempt: number; step: number; total: number; failed: number } & StoredBlob;
}

interface StoredBlob {
  blob: string;
  size_bytes: number;
  sha256: string;
}

interface ResourceClassTable {
  id: string;
  name: string;
  description: string;
  /** ClassSettings as they were said, without what is not said; null: nothing was. */
  settings_json: string | null;
  created_ms: number;
}

/** Launch agents that have called, by class and name. */
interface AgentTable {
  resource_class: string;
  name: string;
  hostname: string;
  ip: string;
  version: string;
  /** First and last contact. */
  first_ms: number;
  last_ms: number;
  /** When it last claimed a task; null: never. */
  used_ms: number | null;
}

interface OrbVersionTable {
  id: string;
  namespace: string;
  name: string;
  /** `1.2.3`, or `dev:label`. */
  version: string;
  hash: string;
  published_ms: number;
  /** Null: never. */
  expires_ms: number | null;
}

/** Which process is the agent of a name. */
interface AgentSessionTable {
  queue: string;
  name: string;
  session: string;
  hostname: string;
  opened_ms: number;
  /** When it was last asked for a sign of life, by another one that wants to be the agent; null: it gave one since. */
  asked_ms: number | null;
  /** When it gave one. */
  seen_ms: number | null;
}

interface ScheduleTable {
  /** Slug of the project. */
  project: string;
  branch: string;
  workflow: string;
  cron: string;
  /** The occurrence that it waits for; null: there is none. */
  due_ms: number | null;
  /** What its pipelines are made with; see pipelines/remember-schedules.ts. */
  pipeline_json: string;
}

interface PipelineTable {
  id: string;
  number: number;
  project: string;
  project_name: string;
  source: string;
  config_json: string;
  vcs_json: string;
  trigger_json: string;
  /** Number of its newest event. */
  event_seq: number;
  /** Why it was cancelled; null: it was not. */
  cancel_reason: string | null;
  created_ms: number;
  ended_ms: number | null;
  /** Of a setup config's: SHA-256 of the key that it can be continued with. */
  continuation_hash: string | null;
  /** What the added workflows need of what it was made with; see pipelines/continuation.ts. */
  continuation_json: string | null;
  continued_ms: number | null;
}

interface WorkflowTable {
  id: string;
  pipeline_id: string;
  position: number;
  name: string;
  status: string;
  /** Why nothing of it runs. */
  reason: string | null;
  /** How often it is still run again from what failed. */
  reruns_left: number;
}

interface JobTable {
  id: string;
  pipeline_id: string;
  workflow_id: string;
  position: number;
  number: number;
  name: string;
  /** JobKind of the machine's state. */
  kind: string;
  /** Requirement[] of the machine's state. */
  requires_json: string;
  status: string;
  reason: string | null;
  /** Why it cannot run here; known before it is its turn. */
  refusal: string | null;
  /** How it ends then; null: `failed`. */
  refusal_status: string | null;
  /** Key of the lock that it takes, or gives back. */
  lock_key: string | null;
  /** `waiting`, `held`; `done`: it was held; `dropped`: it never was. */
  lock_state: string | null;
  /** Place among those who wait. */
  lock_order: number | null;
  lock_asked_ms: number | null;
  approved_by: string | null;
  /** The task's document without what differs from task to task. */
  template_json: string | null;
  artifact_directory: string;
}

interface TaskTable {
  id: string;
  pipeline_id: string;
  job_id: string;
  node_index: number;
  queue: string;
  /** Place in the queue. A task that comes back keeps it. */
  queue_order: number;
  /** `waiting`, `queued`, `running`, or how it ended. */
  status: string;
  attempt: number;
  /** Why it ended as it did. */
  message: string | null;
  agent: string | null;
  claim_id: string | null;
  /** Since when the present attempt waits in the queue, and when it was handed out; null: neither, or before either was written down. */
  queued_ms: number | null;
  claimed_ms: number | null;
  /** Of the process that has the running attempt; null: it has none. */
  session: string | null;
  lease_expires_ms: number | null;
  cancel_reason: string | null;
  /** 1: the running attempt was taken away from its agent, and nothing more is taken from it. */
  fenced: number;
  /** 1: a step of the running attempt has begun. */
  begun: number;
  output_bytes: number;
  /** Bytes of output that are stored. */
  output_limit: number;
  /** 1: output was dropped because of the limit, and that was said. */
  output_dropped: number;
  /** 1: its class has it run again even where steps had begun. */
  unsafe_retries: number;
  ended_ms: number | null;
}

interface EventTable {
  pipeline_id: string;
  seq: number;
  type: string;
  /** The event as it is told; null for output. */
  body_json: string | null;
  job_id: string | null;
  task_id: string | null;
  attempt: number | null;
  step: number | null;
  stream: string | null;
  start_byte: number | null;
  length_bytes: number | null;
  encoding: string | null;
  data: Uint8Array | null;
}

export type Row<T extends keyof Schema> = Selectable<Schema[T]>;
export type NewRow<T extends keyof Schema> = Insertable<Schema[T]>;
