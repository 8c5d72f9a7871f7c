import { z } from "zod";
import { RecordFrame } from "./records.ts";

/**
 * The task channel: launch agent and task agent over the container's attached stdin and stdout. Nothing else joins them.
 *
 * Order of things
 *  1. The launch agent attaches, writes `syncMarker(nonce)` and then frames. It may do so before the container starts.
 *  2. The task agent answers the newest marker with the same marker, then `hello`, then frames. Whoever reads skips all
 *     bytes before the marker that it waits for: what stands there is the rest of an older attachment.
 *  3. `task` hands the work over, once in a container's life; `accepted` acknowledges it.
 *  4. Records flow up until `task-ended`; `ack` says up to which number they are stored. The task agent exits 0 when
 *     its last record has been acknowledged.
 *  5. After a break (an agent that died and came back) it starts over at 1: the task agent answers `hello` with
 *     `accepted` when it has a task, sends again every record that is not acknowledged, and issues its open requests
 *     anew under new ids. Transfers that were under way are void.
 *
 * A new attachment cannot know how much of a frame its forerunner left in stdin, so from the second attachment on the
 * marker is preceded by `resyncPaddingBytes` of zeros: enough to end any half frame, which the reader then refuses.
 */
export * from "./sync.ts";

const id = z.int().positive();

/** What the task agent asks the launch agent to do for it with the control plane. */
export const Request = z.discriminatedUnion("op", [
  /** Newest cache whose key begins with one of `keys`, tried in order. Found: the archive follows as data. */
  z.object({ op: z.literal("restore-cache"), keys: z.array(z.string().min(1).max(900)).min(1).max(64) }),
  /** Is this very key taken? Spares packing what would be thrown away. */
  z.object({ op: z.literal("has-cache"), key: z.string().min(1).max(900) }),
  /** Archive follows as data from the requester. First writer of a key wins. */
  z.object({ op: z.literal("save-cache"), key: z.string().min(1).max(900) }),
  z.object({ op: z.literal("list-workspace") }),
  z.object({ op: z.literal("fetch-workspace"), layer: z.string().max(200) }),
  z.object({ op: z.literal("persist-workspace"), step: z.int() }),
  z.object({
    op: z.literal("store-artifact"),
    /** Relative, `/`-separated, no empty, `.` or `..` segment. */
    path: z.string().min(1).max(4096),
  }),
  /** JSON of TestResults follows as data. */
  z.object({ op: z.literal("store-test-results"), step: z.int() }),
  /** JSON of Continuation follows as data: what the pipeline of a setup config goes on with. */
  z.object({ op: z.literal("continue-pipeline") }),
  /** The source tree at the pipeline's revision follows as data. */
  z.object({
    op: z.literal("checkout"),
    method: z.enum(["blobless", "full", "shallow"]),
    depth: z.int().positive().optional(),
  }),
]);
export type Request = z.infer<typeof Request>;

/** Answer to a request. With `streams: true` data frames and an `end` follow under the same id. */
export const ResponseResult = z.object({
  streams: z.boolean(),
  /** restore-cache: the key that matched; absent: nothing found. */
  key: z.string().optional(),
  /** has-cache: whether it is there. save-cache: false when the key was taken before. */
  stored: z.boolean().optional(),
  /** list-workspace: layers in the order in which they are to be laid over one another. */
  layers: z.array(z.object({ id: z.string(), sizeBytes: z.int() })).optional(),
  /** Size of what streams, where it is known. */
  sizeBytes: z.int().optional(),
});
export type ResponseResult = z.infer<typeof ResponseResult>;

const transfer = [
  /** A piece of a transfer; the bytes are the frame's body. Only within credit. */
  z.object({ type: z.literal("data"), id }),
  z.object({ type: z.literal("end"), id }),
  z.object({ type: z.literal("credit"), id, bytes: z.int().positive() }),
  /** Either side gives a request up. What was sent under this id is void. */
  z.object({
    type: z.literal("abort"),
    id,
    message: z.string().max(4096),
    /** Whether it failed through no fault of the job's: then the task is worth another try. */
    infrastructure: z.boolean().optional(),
  }),
] as const;

/** Headers of frames from the container to the launch agent. Untrusted. */
export const UpFrame = z.discriminatedUnion("type", [
  z.object({
    type: z.literal("hello"),
    protocol: z.int(),
    version: z.string().max(100),
  }),
  /** The work is taken over; the first step begins now. */
  z.object({
    type: z.literal("accepted"),
    task: z.string().max(200),
    attempt: z.int().positive(),
    /** As it came with the task. */
    proof: z.string().max(200).optional(),
  }),
  RecordFrame,
  z.object({ type: z.literal("request"), id, request: Request }),
  ...transfer,
]);
export type UpFrame = z.infer<typeof UpFrame>;

/** Headers of frames from the launch agent to the container. */
export const DownFrame = z.discriminatedUnion("type", [
  /** Hands the work over. The body is the JSON of Work. */
  z.object({
    type: z.literal("task"),
    task: z.string(),
    attempt: z.int().positive(),
    /** Says, to a launch agent that comes back, that this container got this task. */
    proof: z.string().optional(),
  }),
  /** Records up to this number are stored and may be forgotten. */
  z.object({ type: z.literal("ack"), seq: z.int().nonnegative() }),
  z.object({ type: z.literal("response"), id, result: ResponseResult }),
  /** End the running step and the task with this status. The second one does not wait for grace. */
  z.object({ type: z.literal("cancel"), reason: z.string(), status: z.enum(["canceled", "timedout"]) }),
  ...transfer,
]);
export type DownFrame = z.infer<typeof DownFrame>;
