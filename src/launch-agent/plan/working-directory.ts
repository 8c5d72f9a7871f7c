import { posix } from "node:path";
import type { Problem } from "./problem.ts";

/** Where the task agent's own files are mounted. */
export const taskAgentPath = "/opt/cofferdam";

/** A workspace there would hide the kernel's files, the task agent, or the whole image. */
const forbidden = ["/proc", "/sys", "/dev", taskAgentPath];
const longestPath = 1024;

/** The workspace's path: absolute and normalised. `~` is the user's home, anything relative begins at the root. */
export function resolveWorkingDirectory(configured: string, home: string): { path: string } | Problem {
  const refuse = (why: string) => ({ problem: `working_directory ${JSON.stringify(configured.slice(0, 200))} ${why}` });
  if (configured.includes("\0") || configured.includes("\n")) return refuse("contains a NUL or a line break");
  if (configured.length > longestPath) return refuse(`is longer than ${longestPath} characters`);
  if (/^~[^/]/.test(configured)) return refuse("names another user's home. Use ~/… or an absolute path");
  const expanded = configured === "~" || configured.startsWith("~/") ? home + configured.slice(1) : configured;
  const path = posix.resolve("/", expanded);
  if (path === "/") return refuse("is the root of the file system. Name a directory of its own, such as ~/project");
  if (forbidden.some((root) => path === root || path.startsWith(`${root}/`) || root.startsWith(`${path}/`))) {
    return refuse(`covers what the container needs (${forbidden.join(", ")}). Name another directory`);
  }
  return { path };
}
