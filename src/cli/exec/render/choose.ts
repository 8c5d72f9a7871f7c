import type { Io } from "../../io.ts";
import type { ExecOptions } from "../options.ts";
import { jsonView } from "./json.ts";
import { liveView } from "./live.ts";
import { plainView } from "./plain.ts";
import { styler } from "./text.ts";
import type { RunFacts, View } from "./view.ts";

/** Live lines on a terminal, prefixed lines in a pipe, events for programs. */
export function chooseView(
  options: Pick<ExecOptions, "json" | "tail">,
  io: Io,
  stepOutput: RunFacts["stepOutput"],
): View & { wantsOutput: boolean } {
  const { stdout, env } = io;
  if (options.json) return { ...jsonView(stdout), wantsOutput: true };
  const terminal = stdout.isTTY === true && env["TERM"] !== "dumb";
  const colours = env["NO_COLOR"] ? false : terminal || Boolean(env["FORCE_COLOR"]);
  const common = { stdout, style: styler(colours), colours, tail: options.tail };
  if (!terminal) return { ...plainView(common), wantsOutput: true };
  return { ...liveView({ ...common, stepOutput, now: Date.now }), wantsOutput: options.tail !== undefined };
}
