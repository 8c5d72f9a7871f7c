import { setTimeout as sleep } from "node:timers/promises";
import type { DummyProcess } from "./container.ts";

/**
 * The program of a dummy container that was given none: does what its environment says, in this order.
 * `DUMMY_OUTPUT` and `DUMMY_ERROR` are written, `DUMMY_ECHO=1` sends stdin back up to its end or a NUL,
 * `DUMMY_SLEEP_MS` passes, `DUMMY_OOM=1` has the kernel kill it, `DUMMY_EXIT` is the exit code.
 */
export async function obeyOrders(process: DummyProcess): Promise<number> {
  const orders = process.plan.environment;
  if (orders["DUMMY_OUTPUT"] !== undefined) await write(process.stdout, Buffer.from(orders["DUMMY_OUTPUT"]));
  if (orders["DUMMY_ERROR"] !== undefined) await write(process.stderr, Buffer.from(orders["DUMMY_ERROR"]));
  if (orders["DUMMY_ECHO"] === "1") await echo(process);
  if (orders["DUMMY_SLEEP_MS"] !== undefined)
    await sleep(Number(orders["DUMMY_SLEEP_MS"]), undefined, { signal: process.killed });
  if (orders["DUMMY_OOM"] === "1") {
    process.runOutOfMemory();
    return 137;
  }
  return Number(orders["DUMMY_EXIT"] ?? 0);
}

async function echo(process: DummyProcess): Promise<void> {
  for await (const chunk of process.stdin as AsyncIterable<Buffer>) {
    const end = chunk.indexOf(0);
    await write(process.stdout, end < 0 ? chunk : chunk.subarray(0, end));
    if (end >= 0) return;
  }
}

async function write(stream: DummyProcess["stdout"], chunk: Buffer): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  stream.write(chunk, (error) => (error ? reject(error) : resolve()));
  await promise;
}
