import { spawn } from "node:child_process";
import { text } from "node:stream/consumers";
import { withoutCredentials } from "../../lib/credentials.ts";
import { ControlPlaneError } from "../errors.ts";

export interface GitOptions {
  /** What is being done, for the message: `fetch https://…`. */
  what: string;
  signal: AbortSignal;
  cwd?: string;
}

/**
 * Runs git on addresses and names that strangers chose: no prompts, no hooks, no transports but these, and nothing of the
 * host's own configuration. Callers put `--` before whatever is not theirs.
 */
export async function git(args: readonly string[], options: GitOptions): Promise<string> {
  const child = spawn("git", [...safe, ...args], {
    cwd: options.cwd,
    env: environment,
    stdio: ["ignore", "pipe", "pipe"],
    signal: options.signal,
  });
  const exited = new Promise<number | string>((resolve) => {
    child.once("error", (error) => resolve(error.message));
    child.once("close", (code, signal) => resolve(code ?? signal ?? "ended"));
  });
  const [stdout, stderr, exit] = await Promise.all([text(child.stdout), beginningOf(child.stderr), exited]);
  if (exit === 0) return stdout.trim();
  options.signal.throwIfAborted();
  const words = withoutCredentials(stderr).trim().split("\n").slice(0, 3).join("; ") || `git ended with ${exit}`;
  const code = refusals.test(stderr) ? "not-found" : "unavailable";
  throw new ControlPlaneError(code, `could not ${withoutCredentials(options.what)}: ${words}`);
}

const mostWords = 16 * 1024;

/** All of it is read, and little is kept: a server may have its words passed on for as long as it likes. */
export async function beginningOf(stream: AsyncIterable<Buffer>): Promise<string> {
  let kept = Buffer.alloc(0);
  for await (const chunk of stream)
    if (kept.byteLength < mostWords) kept = Buffer.concat([kept, chunk.subarray(0, mostWords - kept.byteLength)]);
  return kept.toString("utf8");
}

/** What git says when another try would be told the same, in its own words under LC_ALL=C. Everything else may be the network. */
const refusals =
  /not found|does not exist|does not appear to be a git repository|not exported|Authentication failed|could not read (Username|Password)|Permission denied|access denied/i;

const safe = [
  "-c",
  "core.hooksPath=/dev/null",
  "-c",
  "protocol.ext.allow=never",
  "-c",
  "gc.auto=0",
  "-c",
  "core.fsmonitor=false",
];

const environment = {
  PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
  HOME: "/nonexistent",
  GIT_TERMINAL_PROMPT: "0",
  GIT_ASKPASS: "/bin/false",
  GIT_CONFIG_NOSYSTEM: "1",
  GIT_ALLOW_PROTOCOL: "https:http:ssh:git:file",
  GIT_SSH_COMMAND: "ssh -oBatchMode=yes -oStrictHostKeyChecking=accept-new",
  LC_ALL: "C",
};
