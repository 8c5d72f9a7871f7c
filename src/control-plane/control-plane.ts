import type { Readable } from "node:stream";
import type { z } from "zod";
import type { CompiledConfig } from "../config/compiled.ts";
import type { OrbSource } from "../config/orb-source.ts";
import type { Clock } from "../lib/clock.ts";
import type { Secret } from "../lib/secret.ts";
import type { ClassSettings } from "../protocol/resource-class.ts";
import type { WatchEvent } from "../protocol/watch.ts";
import type { StoredBlob } from "./blobs/blob-store.ts";
import type { BucketSettings } from "./blobs/bucket-settings.ts";
import type { DatabaseSettings } from "./store/options.ts";

/**
 * The control plane as whoever starts it sees it: `main.ts` of the server, `cofferdam exec`, and tests. All state is in
 * the store and the blob folder; several instances over one folder are fine.
 */
export interface ControlPlane {
  /** Serves HTTP. The address is a path of a unix socket, or host and port (0: any free one). */
  listen(address: { socketPath: string } | { host: string; port: number }): Promise<ListenAddress>;
  /** Looks for another certificate now. */
  reloadCertificate(): void;
  /** Makes a class, or has it be as it is wanted now. */
  putResourceClass(resourceClass: WantedClass): Promise<void>;
  /** A new token for claiming tasks of a class. It is kept hashed, so this is the one time that it can be read. */
  createToken(resourceClass: string, nickname: string): Promise<Secret>;
  /** Starts the workflows of a compiled config. */
  createPipeline(pipeline: NewPipeline): Promise<{ id: string; number: number }>;
  /** Everything that happens in it, from its start on; ends after `pipeline-ended`. */
  watch(pipelineId: string, options: { signal: AbortSignal; output: boolean }): AsyncIterable<WatchEvent>;
  /** Every task that has not ended is cancelled. Idempotent. */
  cancelPipeline(pipelineId: string, reason: string): Promise<void>;
  approve(jobId: string, by: string): Promise<void>;
  artifacts(pipelineId: string): Promise<StoredArtifact[]>;
  /** All that a step wrote and that is stored, decoded, in order. */
  stepOutput(taskId: string, step: number): AsyncIterable<Buffer>;
  /** Names of classes that begin with this. */
  resourceClasses(prefix: string): Promise<string[]>;
  /** Its agents are gone for good: cancels what is left of its queue, and removes the class with its tokens. Idempotent. */
  retireResourceClass(name: string, reason: string): Promise<void>;
  /** Removes what is over the limits, in small bites, until the signal aborts. Never what a running pipeline may need. */
  prune(retention: Retention, signal: AbortSignal): Promise<void>;
  /** Stops serving. With a grace of 0 ms running calls are cut off. */
  close(options: { graceMs: number }): Promise<void>;
}

export interface ControlPlaneOptions {
  /** Holds the database and the blobs, where they are nowhere else. Made when it is missing, with mode 0700. */
  dataDirectory: string;
  /** PostgreSQL, which several machines may share. */
  database?: DatabaseSettings;
  /** A bucket of S3 for the blobs. */
  bucket?: BucketSettings;
  clock: Clock;
  /**
   * Which class's queue a job goes to, and what it may use. Undefined: no such class, and the job fails with that said.
   * Without, it goes to the class that it names, with the settings that this class has in the store.
   */
  route?: RouteOf;
  /** Without `route`: the class of jobs that name none. */
  defaultClass?: string | undefined;
  /** Where `checkout` gets its tree. */
  sources: SourceProvider;
  /** Compiles what a setup workflow goes on with. Without, no pipeline can be continued. */
  compile?: (request: CompileRequest) => Promise<{ compiled: CompiledConfig; warnings?: string } | { errors: string }>;
  /** Where orbs come from that are not published here: published orbs may import them. */
  orbs?: OrbSource;
  /** Scheduled workflows of branches are remembered, and started when it is their time. Default: neither. */
  schedules?: boolean;
  /** How long an agent holds a task without a word. Default: 30 s. */
  leaseMs?: number;
  /** Where the administrator's token is, or is put at the first start. Without, nobody can call what takes a user's token. */
  adminTokenFile?: string;
  /** What is made at the start where it is missing. */
  bootstrap?: Bootstrap;
  /** HTTPS is served where the address is host and port. */
  tls?: TlsFiles;
  /** `name@sha256:…` that launch agents are to run. */
  launchAgentImage?: string | undefined;
  /** What is kept, looked after once an hour. Everything when not given: then it is for the caller to `prune`. */
  retention?: Retention;
  /** pino's level; logs are JSON lines on stderr. */
  logLevel?: string;
}

export interface CompileRequest {
  text: string;
  /** What diagnostics call it. */
  file?: string;
  parameters: Record<string, unknown>;
  vcs: NewPipeline["vcs"];
  project: Project;
  pipeline: { id: string; number: number };
  /** What is published here, and then `orbs` of the options. */
  orbs: OrbSource;
}

export interface Retention {
  /** Rows, output and artifacts of so many pipelines are kept, the newest ones. */
  keepPipelines: number;
  /** Of caches and workspaces. */
  maxAgeMs: number;
  /** Of caches and workspaces together; the oldest go first. */
  maxBytes: number;
}

export interface WantedClass {
  /** `namespace/name`. */
  name: string;
  description?: string | undefined;
  /** What is not said has its default. */
  settings?: SaidSettings | undefined;
}

/** Settings as an operator says them. */
export type SaidSettings = z.input<typeof ClassSettings>;

export interface Bootstrap {
  /** Classes that are made where they are missing. */
  classes: readonly string[];
  /** Gets a file `NAMESPACE.NAME` with a token for each of them. */
  tokenDirectory?: string | undefined;
}

/** Of PEM. */
export interface TlsFiles {
  certFile: string;
  keyFile: string;
}

export type RouteOf = (resourceClass: string | undefined, executor: "docker" | "machine") => Route | undefined;

export interface Route extends ClassSettings {
  /** The class whose agents are to claim it. */
  queue: string;
  /** What people are shown as the class of a job that names none. Default: the queue. */
  defaultClass?: string;
}

export interface NewPipeline {
  /** Where they have been taken already. */
  id?: string;
  number?: number;
  project: Project;
  config: CompiledConfig;
  /** The config's text, kept for people. */
  source: string;
  vcs: { branch?: string; tag?: string; revision?: string; url?: string };
  trigger: { type: string; actor: string };
  /** Only these workflows, or jobs with all that they require. Undefined: everything. */
  only?: { workflow?: string; job?: string };
  /** Added to every task's environment, over project variables and under the job's own. */
  environment: Record<string, string>;
  /** Of `environment`, the names whose values are masked in output. */
  secretNames: string[];
  /** Variables of contexts by name; all their values are masked. A job that names another one ends as `unauthorized`. */
  contexts?: Record<string, Record<string, string>>;
  /** Names of contexts that are known, but whose values are not at hand: a job that names one ends as `unauthorized`, with that said. */
  contextsNotKept?: string[];
  /** The parameters that it was triggered with: a setup config's continuation gets them too. */
  parameters?: Record<string, unknown>;
}

interface Project {
  /** `vcs/organization/name`. Caches are kept apart by it. */
  slug: string;
  name: string;
}

export interface SourceProvider {
  /**
   * What a repository has under a name, as a pipeline of it is to say: the commit, and the default branch where none is named. Throws
   * ControlPlaneError. Without, pipelines are not taken from others.
   */
  locate?(
    wanted: { url: string; branch?: string; tag?: string },
    signal: AbortSignal,
  ): Promise<NewPipeline["vcs"] & { url: string; revision: string }>;
  /** The tree at the pipeline's revision, `.git` included where there is one, as tar in zstd. */
  open(request: SourceRequest): Promise<Readable>;
}

export interface SourceRequest {
  pipelineId: string;
  vcs: NewPipeline["vcs"];
  method: "blobless" | "full" | "shallow";
  depth?: number;
  signal: AbortSignal;
}

export interface ListenAddress {
  /** `http://…`, to be used with `socketPath` where that is set. */
  url: string;
  socketPath?: string;
}

export interface StoredArtifact {
  job: string;
  node: number;
  path: string;
  sizeBytes: number;
  /** Its bytes in the blob store. */
  blob: StoredBlob;
}
