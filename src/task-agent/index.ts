import { writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Readable, Writable } from "node:stream";
import type { Clock } from "../lib/clock.ts";
import type { Work } from "../protocol/task.ts";
import { Channel } from "./channel/channel.ts";
import { PipeSource } from "./process/pipes.ts";
import { killStragglers } from "./process/stragglers.ts";
import { answerContinuations } from "./requests/continue.ts";
import { Pressure } from "./spool/pressure.ts";
import { Spool } from "./spool/spool.ts";
import { TaskRun } from "./task/run-task.ts";
import { findHome, type Places, resolvePath } from "./workspace/places.ts";
import { PrivateDirectory } from "./workspace/private-directory.ts";

export interface TaskAgentOptions {
  /** The task channel: attached stdin and stdout. */
  input: Readable;
  output: Writable;
  version: string;
  clock: Clock;
  /** The image's variables; the work's come over them. */
  environment: Readonly<Record<string, string | undefined>>;
  /** Where the process was started: the workspace. */
  startDirectory: string;
  /** Holds `circleci-agent`; at the end of every step's PATH. */
  binDirectory: string;
  /** Makes FIFOs of the names that are added to it. */
  mkfifo: readonly string[];
  /** How long it stays where nobody comes for it any more. */
  patience?: Patience;
  /** Called once where no task has come for a moment: then it waits for one in a pool. */
  whenIdle?: () => void;
  /** Whether every process around us is the job's, to be killed at its end. False wherever this is no container of ours. */
  ownsContainer: boolean;
}

/** Milliseconds. A launch agent that lives ends the container long before. */
interface Patience {
  /** For a task. */
  taskMs: number;
  /** Beyond the task's own time: for whoever is to acknowledge its last records. */
  lastWordsMs: number;
}

/** Longer than a container waits in any pool; the end of a task is before the deadline on its container. */
const defaultPatience: Patience = { taskMs: 3_600_000, lastWordsMs: 20 * 60_000 };
/** Timers count no further. */
const maxTimerMs = 2 ** 31 - 1;

/** One that is there for a task gets it with its first bytes. */
const idleMs = 100;

const spoolMemoryBytes = 4 * 1024 * 1024;
const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/**
 * Waits for a task on the channel, runs it, and resolves when its last record has been acknowledged. Rejects when the
 * channel is closed before that, and when nobody has come for too long: a container whose agent never returns ends by itself.
 */
export async function runTaskAgent(options: TaskAgentOptions): Promise<void> {
  const home = new PrivateDirectory(["/tmp", "/dev/shm", dirname(options.startDirectory), "/var/tmp", "/run"]);
  const spool = new Spool({ memoryBytes: spoolMemoryBytes, directory: () => home.path });
  const pipes = new PipeSource(options.mkfifo, () => home.path);
  pipes.prepare();
  const { taskMs, lastWordsMs } = options.patience ?? defaultPatience;
  let end: NodeJS.Timeout | undefined;
  const idle = options.whenIdle && setTimeout(options.whenIdle, idleMs);
  try {
    await new Promise<void>((resolve, reject) => {
      const endAfter = (ms: number, why: string): void => {
        clearTimeout(end);
        end = setTimeout(() => giveUp(why), Math.min(ms, maxTimerMs));
      };
      let run: TaskRun | undefined;
      const giveUp = (why: string): void => {
        run?.cancel("canceled", true);
        reject(new Error(why));
      };
      endAfter(taskMs, "no task has come");
      const channel = new Channel({
        input: options.input,
        output: options.output,
        spool,
        version: options.version,
        onTask: (work) => {
          clearTimeout(idle);
          endAfter(work.maxRunTimeMs + work.killGraceMs + lastWordsMs, "nobody has heard the end of the task");
          run = prepare(work, { ...options, channel, spool, pipes, privateDirectory: home.path });
          const over = new AbortController();
          answerContinuations({ directory: home.path, channel, clock: options.clock, signal: over.signal });
          run
            .run()
            .finally(() => over.abort())
            .then(async () => await channel.drained())
            .then(resolve, reject);
        },
        onCancel: (status, hurry) => run?.cancel(status, hurry),
        onClosed: (reason) => {
          giveUp(`the task channel is closed: ${reason}`);
        },
      });
    });
  } finally {
    clearTimeout(end);
    clearTimeout(idle);
    home.remove();
  }
}

interface Parts extends TaskAgentOptions {
  channel: Channel;
  spool: Spool;
  pipes: PipeSource;
  privateDirectory: string | undefined;
}

function prepare(work: Work, parts: Parts): TaskRun {
  const home = findHome(work.workingDirectory, parts.startDirectory, parts.environment["HOME"]);
  const workingDirectory = resolvePath(work.workingDirectory, home, parts.startDirectory);
  const places: Places = { home, workingDirectory, privateDirectory: parts.privateDirectory };
  return new TaskRun(work, {
    channel: parts.channel,
    pipes: parts.pipes,
    clock: parts.clock,
    places,
    pressure: new Pressure(parts.spool, parts.clock),
    environment: stepEnvironment(work, places, parts),
    killStragglers: parts.ownsContainer ? killStragglers : () => {},
  });
}

function stepEnvironment(work: Work, places: Places, parts: Parts): Record<string, string> {
  const environment: Record<string, string> = { HOME: places.home, PATH: defaultPath };
  for (const [name, value] of Object.entries(parts.environment)) if (value !== undefined) environment[name] = value;
  if (places.privateDirectory !== undefined) Object.assign(environment, shellFiles(places.privateDirectory));
  Object.assign(environment, work.environment);
  // Last on the PATH: an image's own `circleci` is the user's choice.
  environment["PATH"] += `:${parts.binDirectory}`;
  return environment;
}

/** What steps pass to later ones, and to us. */
function shellFiles(privateDirectory: string): Record<string, string> {
  const bashEnv = join(privateDirectory, "bash_env");
  writeFileSync(bashEnv, "", { flag: "a" });
  return { BASH_ENV: bashEnv, CIRCLE_SHELL_ENV: bashEnv, CIRCLE_INTERNAL_TASK_DATA: privateDirectory };
}
