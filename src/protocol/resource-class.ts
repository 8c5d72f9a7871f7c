import { z } from "zod";
import { Isolation, Limits, Network, PullPolicy } from "./task.ts";

const gibibyte = 1024 ** 3;

/** NAMESPACE/NAME, of the characters that CircleCI allows. */
export const className = /^[a-z0-9_-]{1,100}\/[A-Za-z0-9:_+-]{1,100}$/;

/** What is not said suits most jobs. */
const SomeLimits = Limits.extend({
  memoryBytes: Limits.shape.memoryBytes.default(4 * gibibyte),
  cpus: Limits.shape.cpus.default(2),
  pids: Limits.shape.pids.default(4096),
  // An engine refuses more than its own hard limit, and cannot be asked for it: 20,000 was seen.
  openFiles: Limits.shape.openFiles.default(16_384),
  workspaceBytes: Limits.shape.workspaceBytes.default(10 * gibibyte),
  workspaceMedium: Limits.shape.workspaceMedium.default("disk"),
  outputBytes: Limits.shape.outputBytes.default(4 * gibibyte),
});

/** What a resource class gives its tasks. Set by an operator, never by a config. */
export const ClassSettings = z.object({
  limits: SomeLimits.prefault({}),
  isolation: Isolation.default("standard"),
  network: Network.prefault({}),
  pull: PullPolicy.default("if-not-present").describe("when images of the docker executor are pulled"),
  allowedImages: z
    .array(z.string().min(1).max(500))
    .max(500)
    .optional()
    .describe("names that images may have, `*` for any run of characters; absent: any"),
  maxRunTimeMs: z
    .int()
    .positive()
    .default(5 * 60 * 60_000)
    .describe("from the first step on"),
  unsafeRetries: z
    .boolean()
    .default(false)
    .describe("a task whose agent is lost after its steps had begun is run again from the start, three times at most"),
});
export type ClassSettings = z.infer<typeof ClassSettings>;
