import { randomUUID } from "node:crypto";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Clock } from "../../lib/clock.ts";
import type { Channel } from "../channel/channel.ts";

export interface ContinuationOptions {
  /** Where `circleci-agent continue` leaves what it asks for; undefined: nowhere. */
  directory: string | undefined;
  channel: Pick<Channel, "ask">;
  clock: Clock;
  /** The task is over. */
  signal: AbortSignal;
}

const lookIntervalMs = 100;
const folderName = /^continue-\d+$/;

/**
 * Carries what `circleci-agent continue` asks for to the control plane. A folder `continue-PID` holds `configuration` and `parameters`;
 * once it holds `asked`, it gets the words of the `answer`, and then the exit code as `answered`. A folder, because a task has no
 * network of its own need, and any shell can write one.
 */
export function answerContinuations(options: ContinuationOptions): void {
  const { directory } = options;
  if (directory !== undefined) void lookForFolders(directory, options).catch(() => undefined);
}

async function lookForFolders(directory: string, options: ContinuationOptions): Promise<void> {
  for (;;) {
    await options.clock.sleep(lookIntervalMs, options.signal);
    for (const name of foldersIn(directory)) await answer(join(directory, name), options);
  }
}

function foldersIn(directory: string): string[] {
  try {
    return readdirSync(directory).filter((name) => folderName.test(name));
  } catch {
    // The job may do with it what it likes.
    return [];
  }
}

async function answer(folder: string, options: ContinuationOptions): Promise<void> {
  try {
    const files = readdirSync(folder);
    if (!files.includes("asked") || files.includes("answered")) return;
    const failure = await ask(folder, options);
    options.signal.throwIfAborted();
    writeFileSync(join(folder, "answer"), failure === undefined ? "" : `circleci-agent: ${failure}\n`);
    writeFileSync(join(folder, "answered"), failure === undefined ? "0" : "1");
  } catch {
    // Taken away meanwhile: nobody waits for the answer.
  }
}

/** Why the pipeline was not continued, in words. */
async function ask(folder: string, { channel, signal }: ContinuationOptions): Promise<string | undefined> {
  try {
    const body = Buffer.from(JSON.stringify({ ...readContinuation(folder), request: randomUUID() }));
    const send = async function* (): AsyncGenerator<Buffer, void, undefined> {
      yield body;
    };
    await channel.ask({ op: "continue-pipeline" }, { signal, send, receive: async () => {} });
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

function readContinuation(folder: string): { configuration: string; parameters: unknown } {
  const parameters = readFileSync(join(folder, "parameters"), "utf8");
  const configuration = readFileSync(join(folder, "configuration"), "utf8");
  try {
    return { configuration, parameters: JSON.parse(parameters) as unknown };
  } catch {
    throw new Error(`the parameters are not JSON: ${parameters.slice(0, 200)}`);
  }
}
