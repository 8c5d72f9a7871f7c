import { spawnSync } from "node:child_process";
import { accessSync, constants } from "node:fs";

export function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** Whether this shell knows `-o pipefail`: dash before 0.5.13 does not, busybox does. */
export function knowsPipefail(shell: string): boolean {
  return spawnSync(shell, ["-o", "pipefail", "-c", ":"], { stdio: "ignore", timeout: 5000 }).status === 0;
}
