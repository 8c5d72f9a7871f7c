import type { DummyProcess } from "../../src/engine/dummy/index.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { Channel } from "../../src/task-agent/channel/channel.ts";
import { Spool } from "../../src/task-agent/spool/spool.ts";

const lines = 40;
export const allThatIsSaid = Array.from({ length: lines }, (_, at) => `line ${at}\n`).join("");

/**
 * The program of a dummy container: the real task agent's channel, and a step that says its lines with time between them. Adds its
 * container's name to `begun` when it begins. A service says one word, and stays.
 */
export async function talk(process: DummyProcess, begun: string[]): Promise<number> {
  if (process.plan.labels["dev.cofferdam.role"] === "service") return await untilKilled(process);
  const spool = new Spool({ memoryBytes: 1024 ** 2, directory: () => undefined });
  return await new Promise<number>((resolve) => {
    const channel = new Channel({
      input: process.stdin,
      output: process.stdout,
      spool,
      version: "test",
      onTask: () => {
        begun.push(process.plan.name);
        void say(channel, process.killed)
          .then(async () => await channel.drained())
          .then(() => resolve(0));
      },
      onCancel: () => resolve(1),
      onClosed: () => resolve(1),
    });
  });
}

async function untilKilled(process: DummyProcess): Promise<number> {
  process.stdout.write("serving\n");
  await new Promise((resolve) => process.killed.addEventListener("abort", resolve, { once: true }));
  return 137;
}

async function say(channel: Channel, killed: AbortSignal): Promise<void> {
  channel.record({ type: "step-started", step: 100, name: "say", kind: "run", atMs: 1 });
  let offset = 0;
  for (let at = 0; at < lines && !killed.aborted; at++) {
    const bytes = Buffer.from(`line ${at}\n`);
    const output = { type: "output", step: 100, stream: "stdout", offset, length: bytes.byteLength } as const;
    channel.record({ ...output, encoding: "identity" }, bytes);
    offset += bytes.byteLength;
    await systemClock.sleep(3);
  }
  channel.record({ type: "step-ended", step: 100, outcome: { kind: "succeeded" }, atMs: 2 });
  channel.record({ type: "task-ended", status: "success", atMs: 3 });
}
