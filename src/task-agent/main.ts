import { stat } from "node:fs";
import { Socket } from "node:net";
import { join } from "node:path";
import { systemClock } from "../lib/clock.ts";
import { runTaskAgent, type TaskAgentOptions } from "./index.ts";
import { isAboveAll } from "./process/stragglers.ts";
import { rehearse } from "./rehearsal.ts";

declare const COFFERDAM_VERSION: string;

// Sockets of our own: node's stdout blocks the whole process while a reader stands still.
const input = new Socket({ fd: 0, readable: true, writable: false });
const output = new Socket({ fd: 1, readable: false, writable: true });
const directory = import.meta.dirname;
// Makes the threads of node's pool now: later, a job that is at its limit of processes leaves no room for them, and node aborts.
stat(directory, () => {});

const options: TaskAgentOptions = {
  input,
  output,
  version: typeof COFFERDAM_VERSION === "string" ? COFFERDAM_VERSION : "0.0.0",
  clock: systemClock,
  environment: process.env,
  startDirectory: process.cwd(),
  binDirectory: join(directory, "bin"),
  mkfifo: [join(directory, "busybox"), "mkfifo"],
  ownsContainer: process.argv.includes("--owns-container") && isAboveAll(),
};

runTaskAgent({ ...options, whenIdle: () => void rehearse(options) }).then(
  () => process.exit(0),
  (error: unknown) => {
    console.error(`task agent: ${error instanceof Error ? error.message : String(error)}`);
    process.exit(1);
  },
);
