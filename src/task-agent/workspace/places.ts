import { isAbsolute, resolve } from "node:path";

/** Where things are in this container. All paths are absolute. */
export interface Places {
  home: string;
  /** The job's working directory. */
  workingDirectory: string;
  /** Ours; undefined where nothing but the workspace can be written. */
  privateDirectory: string | undefined;
}

/**
 * `~` is where the launch agent thinks it is: it has put the workspace there, and started us in it. Only where that
 * does not fit, HOME counts.
 */
export function findHome(configured: string, startDirectory: string, environmentHome: string | undefined): string {
  const rest = configured.startsWith("~/") ? configured.slice(1).replace(/\/+$/, "") : undefined;
  if (rest && startDirectory.endsWith(rest)) return startDirectory.slice(0, -rest.length) || "/";
  return environmentHome || "/";
}

/** A path of the config, relative to a directory; `~` is home. */
export function resolvePath(path: string, home: string, directory: string): string {
  if (path === "~") return home;
  if (path.startsWith("~/")) return resolve(home, path.slice(2));
  return isAbsolute(path) ? resolve(path) : resolve(directory, path);
}
