import { closeSync, openSync, writeSync } from "node:fs";
import pino from "pino";
import type { Log } from "../log.ts";
import type { Options } from "../options.ts";
import type { Redactor } from "./redactor.ts";
import { textLine } from "./text-line.ts";

type LogOptions = Pick<
  Options,
  "CIRCLECI_RUNNER_LOGGING_LEVEL" | "CIRCLECI_RUNNER_LOGGING_FORMAT" | "CIRCLECI_RUNNER_LOGGING_FILE"
>;

const stderrFd = 2;

/** The log of the process, one line an event, whatever stands in it. Throws Error when its file cannot be opened. */
export function createLog(options: LogOptions, redactor: Redactor): { log: Log; close: () => void } {
  const format = options.CIRCLECI_RUNNER_LOGGING_FORMAT;
  const file = options.CIRCLECI_RUNNER_LOGGING_FILE;
  const fd = file === "-" || format === "none" ? stderrFd : openSync(file, "a", 0o600);
  const line =
    format === "json" ? (json: string) => json : (json: string) => textLine(json, { color: format === "color" });
  const log = pino(
    {
      level: format === "none" ? "silent" : options.CIRCLECI_RUNNER_LOGGING_LEVEL,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
    },
    { write: (json: string) => writeLine(fd, line(redactor.redact(json))) },
  );
  return {
    log,
    close: () => {
      if (fd !== stderrFd) closeSync(fd);
    },
  };
}

/** At once, so that a crash loses none; a reader that has gone, or a full disk, is no reason to end tasks. */
function writeLine(fd: number, text: string): void {
  try {
    writeSync(fd, text);
  } catch {
    // There is nowhere to tell it.
  }
}
