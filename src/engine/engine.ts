import type { Readable, Writable } from "node:stream";

/**
 * Runs containers, in our words. One implementation an engine: `docker/` speaks to anything with the Docker API ≥ 1.41
 * (Podman's socket too), `dummy/` keeps everything in memory, does what its images tell it, and checks its caller.
 *
 * A container's life: create → attach → start → wait → remove, in this order.
 *  - Everything that outlives a call carries the labels of its plan from the moment it exists, so that what a dead agent
 *    left behind can be found with `list`.
 *  - Different containers are handled concurrently. Calls for one container come one after another, but for `kill` and
 *    `remove`, which are safe at any time, twice, and after a create that failed or whose answer was lost.
 *  - Every call takes a signal, and has a deadline of its own beside it: an engine that accepts and never answers makes
 *    it reject with EngineError `unreachable`, it never hangs.
 *  - Errors are EngineError. Its code answers what the caller has to decide: whose fault, worth another try, already so.
 */
export interface Engine {
  /** What this engine is. The first call of every agent: it tells a dead, forbidden or too old engine apart. */
  info(signal: AbortSignal): Promise<EngineInfo>;
  /** An image that is present here; undefined when it is not. Never pulls. */
  image(reference: string, signal: AbortSignal): Promise<Image | undefined>;
  /** uid, gid and home of a user of an image, read from the image's own passwd; `user` undefined: the image's own. Cached by image id. */
  account(image: Image, user: string | undefined, signal: AbortSignal): Promise<Account>;
  /** Makes an image present. Progress is for people: whole lines, a few a second at most. */
  pull(reference: string, options: PullOptions): Promise<Image>;
  /**
   * Asks the image's registry whether it would give it, by tag or digest, for these credentials. Rejects as a pull would. A pull does not
   * ask: Docker takes a digest that it knows from its own store.
   */
  checkAccess(reference: string, options: Pick<PullOptions, "signal" | "credentials">): Promise<void>;
  /** Every image of the engine, with what uses it. */
  images(signal: AbortSignal): Promise<StoredImage[]>;
  /** One more name for an image that is present. A name that another image has goes over to this one. */
  tagImage(id: string, name: string, signal: AbortSignal): Promise<void>;
  /**
   * Takes one name from an image; with its last name the image goes. `conflict` where a container, running or not, was made of it
   * and it would go. What is gone is fine.
   */
  removeImage(name: string, signal: AbortSignal): Promise<void>;
  /**
   * Makes sure that a named volume with the content of `path` in `image` exists, for mounting read-only. Idempotent,
   * safe when two agents do it at once: nobody ever sees a half-filled volume under this name.
   */
  ensureSharedVolume(volume: SharedVolume, signal: AbortSignal): Promise<void>;
  /**
   * Makes sure that the network of this name exists: a bridge whose containers reach out, but not each other, and have no IPv6.
   * Idempotent, safe when two agents do it at once. A network of this name that somebody else made, or made otherwise, is `failed`.
   */
  ensureNetwork(network: SharedNetwork, signal: AbortSignal): Promise<NetworkState>;
  /** Removes a network that nothing is on. False where something is. What is gone is fine. */
  removeNetwork(id: string, signal: AbortSignal): Promise<boolean>;
  /**
   * Runs a command in a container for it alone, to its end, and removes that: read-only, without mounts, as root. Only for commands
   * and images of ours: on the host's network it has no capability, in a container's network it may change that. Where the signal ends
   * it, that is removed behind the caller.
   */
  runHelper(plan: HelperPlan, signal: AbortSignal): Promise<HelperResult>;
  /** Makes a container with its workspace, not started. A plan whose name is taken fails with `conflict`. */
  create(plan: ContainerPlan, signal: AbortSignal): Promise<string>;
  /** Joins the container's stdin and output. Before start, so that no byte is lost; again after a break. */
  attach(id: string, signal: AbortSignal): Promise<Attachment>;
  /** A command that the image does not have may also show itself by `wait` with code 126 or 127: an init runs before it. */
  start(id: string, signal: AbortSignal): Promise<void>;
  /** Resolves when the container has ended, at once when it had. Rejects with `not-found` when it was taken away. */
  wait(id: string, signal: AbortSignal): Promise<Exit>;
  /** Whether it runs, and with which labels; undefined when there is no such container. */
  inspect(id: string, signal: AbortSignal): Promise<ContainerState | undefined>;
  /** Sends SIGKILL to everything in it. A container that does not run, or is gone, is fine. */
  kill(id: string, signal: AbortSignal): Promise<void>;
  /** Kills and removes the container and its workspace. What is gone is fine. */
  remove(id: string, signal: AbortSignal): Promise<void>;
  /** Every container and volume that carries all these labels, running or not. */
  list(labels: Readonly<Record<string, string>>, signal: AbortSignal): Promise<OwnedObject[]>;
  /** Names of the containers with all these labels that somebody has paused. */
  paused(labels: Readonly<Record<string, string>>, signal: AbortSignal): Promise<string[]>;
  /** Removes one object that `list` found. What is gone is fine. */
  removeObject(object: OwnedObject, signal: AbortSignal): Promise<void>;
}

export interface EngineInfo {
  /** `docker`, `podman`, `dummy`. */
  kind: string;
  version: string;
  apiVersion: string;
  /** The engine's own word: `amd64`, `arm64`. */
  architecture: string;
  cpus: number;
  memoryBytes: number;
  cgroupVersion: 1 | 2;
  /** Names of OCI runtimes: `runc`, `runsc`. */
  runtimes: string[];
  /** Where the engine keeps images and volumes, by its own machine's paths. Absent where it does not say. */
  dataDirectory?: string;
}

export interface Image {
  /** Digest of the image's config: the same content has the same id. */
  id: string;
  architecture: string;
  /** As the image says: `uid`, `uid:gid`, `name` or empty for root. */
  user: string;
  environment: Record<string, string>;
  entrypoint: string[];
  command: string[];
  labels: Record<string, string>;
  /** All its names with a tag. */
  tags: string[];
  /** The names by which registries know it: `registry/repository@sha256:…`. Empty for what was built or loaded here. */
  digests: string[];
}

/** An image as the engine lists it. */
export interface StoredImage {
  id: string;
  tags: string[];
  digests: string[];
  /** All its layers, also those that it shares with others. */
  sizeBytes: number;
  /** Since the epoch: when it was built, not when it came. */
  createdMs: number;
  /** A container was made of it, be it running or not. */
  inUse: boolean;
}

export interface Account {
  uid: number;
  gid: number;
  /** Absolute. `/root` for root, `/` where the image knows no better. */
  home: string;
}

export interface PullOptions {
  signal: AbortSignal;
  credentials?: { username: string; password: string };
  onProgress?: (line: string) => void;
}

export interface SharedVolume {
  /** Named by content, so that another version of the content is another volume. */
  name: string;
  image: string;
  /** Directory in the image. */
  path: string;
  labels: Readonly<Record<string, string>>;
}

export interface SharedNetwork {
  name: string;
  labels: Readonly<Record<string, string>>;
  /** IPv4 networks to choose from (`198.19.0.0/22`), in this order. One that another network of the engine overlaps is passed over. */
  subnets: readonly string[];
}

export interface NetworkState {
  /** Names of networks are not sure to be unique. */
  id: string;
  /** What its containers' addresses, and its gateway, are of. */
  subnets: string[];
}

export interface HelperPlan {
  name: string;
  labels: Readonly<Record<string, string>>;
  /** Of ours, present. */
  image: string;
  command: string[];
  network: { mode: "host" } | { mode: "join"; container: string };
}

export interface HelperResult {
  code: number;
  /** The first mebibyte of each. */
  stdout: string;
  stderr: string;
}

export interface ContainerPlan {
  name: string;
  labels: Readonly<Record<string, string>>;
  /** Reference or id of an image that is present. */
  image: string;
  /** Replaces the image's command; undefined keeps it, unless there is an entrypoint here. */
  command?: string[];
  /** Replaces the image's entrypoint, and drops its command. */
  entrypoint?: string[];
  environment: Readonly<Record<string, string>>;
  /** `uid:gid`, `name`, or undefined for the image's own. */
  user?: string;
  /** Absolute. Undefined: the image's own. */
  workingDirectory?: string;
  hostname?: string;
  /** Extra names for 127.0.0.1. */
  localNames?: string[];
  limits: ContainerLimits;
  /** `standard`: sudo works inside. `strict`: no capability, no new privileges, read-only root with a small /tmp. */
  isolation: "standard" | "strict";
  /** `shared`: on a network that was ensured, by its id. `join`: in that of a container, whose names it then has, too. */
  network:
    | { mode: "bridge" }
    | { mode: "none" }
    | { mode: "shared"; network: string }
    | { mode: "join"; container: string };
  /** The one writable mount, new and empty, owned by the account. It goes when the container goes. */
  workspace?: Workspace;
  /** Shared volumes, mounted read-only. */
  shared: { volume: string; path: string }[];
}

interface ContainerLimits {
  memoryBytes: number;
  cpus: number;
  pids: number;
  openFiles: number;
}

export interface Workspace {
  /** Absolute path in the container. */
  path: string;
  owner: { uid: number; gid: number };
  medium: "disk" | "memory";
  /** Enforced by the engine where the medium is memory. */
  sizeBytes: number;
  /**
   * The image has this very directory, empty, and its owner is `owner`. Saves a disk workspace of an unprivileged user
   * some 45 ms. Say it only where it is known: else the workspace has the wrong owner, or comes with files.
   */
  prepared?: boolean;
}

/** Both outputs have to be read: one that nobody reads holds the other when it is full. Errors on them are EngineError. */
export interface Attachment {
  stdin: Writable;
  stdout: Readable;
  stderr: Readable;
  close(): void;
}

export interface Exit {
  code: number;
  /** The kernel killed something in the container for memory. Not by itself a failure: see `code`. */
  outOfMemory: boolean;
  /** The engine's own words where the container could not run at all. */
  error?: string;
}

export interface ContainerState {
  id: string;
  name: string;
  /** Whether its process exists, be it paused. */
  running: boolean;
  /** `created`: never started. */
  phase: "created" | "running" | "paused" | "ended";
  labels: Record<string, string>;
}

export interface OwnedObject {
  kind: "container" | "volume";
  id: string;
  labels: Record<string, string>;
  running: boolean;
}

export type EngineErrorCode =
  /** No engine there, it does not answer, or it went away. Infrastructure. */
  | "unreachable"
  /** There, but we may not talk to it. */
  | "forbidden"
  /** There, but its API is older than 1.41. */
  | "too-old"
  /** Such a container or image does not exist. */
  | "not-found"
  /** The name is taken. */
  | "conflict"
  /** The reference is no legal image name. The config's fault. */
  | "bad-reference"
  /** The registry does not have it, or wants (other) credentials. The config's fault. */
  | "image-not-found"
  | "image-denied"
  /** Built for another architecture. The config's fault. */
  | "wrong-architecture"
  /** The registry failed or did not answer. Infrastructure, and may pass. */
  | "registry"
  /** The registry wants fewer requests (429). Infrastructure, and passes. */
  | "registry-busy"
  /** What came is not what its digest says. Infrastructure, and may pass. */
  | "image-corrupt"
  /** The image cannot start what it was told to: no such file, not executable. The config's fault. */
  | "not-startable"
  /** No room on the engine's disk. Infrastructure. */
  | "disk-full"
  /** The caller's signal. */
  | "aborted"
  /** All else that an engine can answer. Infrastructure. */
  | "failed";

export class EngineError extends Error {
  override name = "EngineError";
  readonly code: EngineErrorCode;
  constructor(code: EngineErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.code = code;
  }
}

export function isEngineError(error: unknown, code?: EngineErrorCode): error is EngineError {
  return error instanceof EngineError && (code === undefined || error.code === code);
}
