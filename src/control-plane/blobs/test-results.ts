import { Readable } from "node:stream";
import { TestResults } from "../../protocol/agent-api.ts";
import type { Context } from "../context.ts";
import { ControlPlaneError } from "../errors.ts";
import { appendEvents } from "../store/events.ts";
import type { Row } from "../store/schema.ts";
import { putTestResults } from "../store/stored.ts";
import { keepBlob } from "./keep.ts";

const maxBytes = 64 * 1024 * 1024;
/** The values of the longest list of results there may be, and some more. */
const maxValues = 8 * 200_000 + 1000;

/** Checks, counts and keeps the test results of a step. Throws ControlPlaneError `bad-request` or `too-large`. */
export async function storeTestResults(
  context: Context,
  task: Row<"task">,
  results: { step: number; content: Readable; signal: AbortSignal },
): Promise<void> {
  const bytes = await readAll(results.content);
  const { tests } = parse(bytes);
  const failed = tests.filter(({ result }) => result === "failure" || result === "error").length;
  const upload = { ...results, key: `test-results/${context.newId()}.json`, content: Readable.from([bytes]) };
  const replaced = await keepBlob(context, task, upload, async (unit, stored) => {
    const told = { type: "test-results", jobId: task.job_id, taskId: task.id, total: tests.length, failed } as const;
    await appendEvents(unit, task.pipeline_id, [{ told, attempt: task.attempt }]);
    return await putTestResults(unit.db, {
      task_id: task.id,
      attempt: task.attempt,
      step: results.step,
      total: tests.length,
      failed,
      blob: stored.key,
      size_bytes: stored.sizeBytes,
      sha256: stored.sha256,
    });
  });
  if (replaced) await context.blobs.remove(replaced.blob);
}

async function readAll(content: Readable): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of content.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    bytes += chunk.byteLength;
    if (bytes > maxBytes) throw new ControlPlaneError("too-large", `test results may have ${maxBytes} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function parse(bytes: Buffer): TestResults {
  if (hasMoreValues(bytes, maxValues))
    throw new ControlPlaneError("too-large", `test results may have ${maxValues} values, in all results together`);
  let value: unknown;
  try {
    value = JSON.parse(bytes.toString("utf8"));
  } catch (cause) {
    throw new ControlPlaneError("bad-request", "the test results are not JSON", { cause });
  }
  const parsed = TestResults.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new ControlPlaneError(
    "bad-request",
    `the test results are malformed: ${issue?.path.join(".")}: ${issue?.message}`,
  );
}

const quote = 0x22;
const backslash = 0x5c;
/** `,`, `[` and `{`: one stands before every value. */
const beforeValues = new Set([0x2c, 0x5b, 0x7b]);

/** Before JSON is read: twenty million empty lists in these bytes would keep the whole control plane busy for ten seconds. */
function hasMoreValues(json: Buffer, limit: number): boolean {
  let values = 0;
  let inText = false;
  for (let at = 0; at < json.byteLength; at += 1) {
    const byte = json[at] ?? 0;
    if (byte === quote) inText = !inText;
    else if (inText) at += byte === backslash ? 1 : 0;
    else if (beforeValues.has(byte) && ++values > limit) return true;
  }
  return false;
}
