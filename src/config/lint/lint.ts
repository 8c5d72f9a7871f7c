import type { Reporter } from "../diagnostics/reporter.ts";
import type { MapNode } from "../parse/node.ts";
import type { Version } from "../schema/config.ts";
import { lintImages } from "./images.ts";
import { lintJobs } from "./jobs.ts";
import { lintNames } from "./names.ts";
import { lintUnused } from "./unused.ts";

/**
 * What is allowed and most likely a mistake all the same. Looks at the config as it is written, not at what becomes of it, so
 * that everything is told once. Warnings wait until there are no errors: who has those has enough to read.
 */
export function lint({ root, version }: { root: MapNode; version: Version }, reporter: Reporter): void {
  lintImages(root, reporter);
  if (reporter.errors > 0 || version !== "2.1") return;
  lintNames(root, reporter);
  lintJobs(root, reporter);
  lintUnused(root, reporter);
}
