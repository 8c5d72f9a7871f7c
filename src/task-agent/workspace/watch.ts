import { freeBytes, usedBytes } from "./usage.ts";

export interface WatchOptions {
  directory: string;
  limitBytes: number;
  /** Called once. */
  onOver: (message: string) => void;
}

const glanceMs = 1000;
/** A walk at least this often, in case others have freed as much as the job has written. */
const maxGlancesBetweenWalks = 60;
/** A walk may cost a fiftieth of the time. */
const restPerWalk = 50;

/**
 * Watches that the workspace stays under its limit. Cheap: only when the file system has lost a good part of what is
 * still allowed, the tree is walked.
 */
export function watchWorkspace(options: WatchOptions): Disposable {
  const over = new AbortController();
  let allowed = options.limitBytes;
  let freeBefore: number | undefined;
  let glances = 0;
  let restUntilMs = 0;
  const glance = async (): Promise<void> => {
    glances += 1;
    const free = freeBytes(options.directory);
    freeBefore ??= free;
    const lost = free === undefined || freeBefore === undefined ? 0 : freeBefore - free;
    const due = lost > allowed / 4 || glances >= maxGlancesBetweenWalks;
    if (!due || performance.now() < restUntilMs) return;
    const startedMs = performance.now();
    const used = await usedBytes(options.directory, over.signal);
    if (over.signal.aborted) return;
    if (used > options.limitBytes) {
      over.abort();
      options.onOver(overMessage(options, used));
      return;
    }
    restUntilMs = performance.now() + (performance.now() - startedMs) * restPerWalk;
    allowed = options.limitBytes - used;
    freeBefore = free;
    glances = 0;
  };
  let timer: NodeJS.Timeout | undefined;
  const next = (): void => {
    timer = setTimeout(() => void again(), glanceMs);
  };
  const again = async (): Promise<void> => {
    await glance();
    if (!over.signal.aborted) next();
  };
  freeBefore = freeBytes(options.directory);
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
