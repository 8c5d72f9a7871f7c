import { freeBytes, usedBytes } from "./usage.ts";

export interface WatchOptions {
  directory: string;
  limitBytes: number;
  /** Called once. */
  onOver: (message: string) => void;
}

const glanceMs = 1000;
/** A walk may cost a fiftieth of the time, */
const restPerWalk = 50;
/** and a fifth while the file system loses what is still allowed. Others may free as much as the job writes, so that is only a hint. */
const restPerHurriedWalk = 5;

/** Watches that the workspace stays under its limit, by walking the tree: seldom where that is dear, every second where it is not. */
export function watchWorkspace(options: WatchOptions): Disposable {
  const over = new AbortController();
  let allowed = options.limitBytes;
  let freeBefore = freeBytes(options.directory) ?? 0;
  let endedMs = performance.now();
  let walkMs = 0;
  const glance = async (): Promise<void> => {
    const startedMs = performance.now();
    const lost = freeBefore - (freeBytes(options.directory) ?? 0);
    const rest = lost > allowed / 4 ? restPerHurriedWalk : restPerWalk;
    if (startedMs - endedMs < walkMs * rest) return;
    const used = await usedBytes(options.directory, over.signal);
    if (over.signal.aborted) return;
    if (used > options.limitBytes) {
      over.abort();
      options.onOver(overMessage(options, used));
      return;
    }
    endedMs = performance.now();
    walkMs = endedMs - startedMs;
    allowed = options.limitBytes - used;
    freeBefore = freeBytes(options.directory) ?? 0;
  };
  let timer: NodeJS.Timeout | undefined;
  const next = (): void => {
    timer = setTimeout(() => void again(), glanceMs);
  };
  const again = async (): Promise<void> => {
    await glance();
    if (!over.signal.aborted) next();
  };
  next();
  return {
    [Symbol.dispose](): void {
      over.abort();
      clearTimeout(timer);
    },
  };
}

function overMessage(options: WatchOptions, used: number): string {
  return (
    `The workspace ${options.directory} holds ${mebibytes(used)}, and its limit is ${mebibytes(options.limitBytes)}. ` +
    "Write less into it, or take a resource class with a larger workspace."
  );
}

function mebibytes(bytes: number): string {
  return `${Math.ceil(bytes / 1024 / 1024)} MiB`;
}
