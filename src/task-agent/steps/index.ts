import type { StepOutcome } from "../../protocol/records.ts";
import type { Step } from "../../protocol/task.ts";
import type { StepContext } from "./context.ts";
import { run } from "./run.ts";

/** Runs a step of any type. Only `run` is loaded from the start: most tasks begin with it, and every millisecond counts there. */
export async function runStep(step: Step, context: StepContext): Promise<StepOutcome> {
  switch (step.type) {
    case "run":
      return await run(step, context);
    case "checkout":
      return await (await import("./checkout.ts")).checkout(step, context);
    case "save_cache":
      return await (await import("./save-cache.ts")).saveCache(step, context);
    case "restore_cache":
      return await (await import("./restore-cache.ts")).restoreCache(step, context);
    case "persist_to_workspace":
      return await (await import("./persist-to-workspace.ts")).persistToWorkspace(step, context);
    case "attach_workspace":
      return await (await import("./attach-workspace.ts")).attachWorkspace(step, context);
    case "store_artifacts":
      return await (await import("./store-artifacts.ts")).storeArtifacts(step, context);
    case "store_test_results":
      return await (await import("./store-test-results.ts")).storeTestResults(step, context);
    default:
      return await (await import("./unsupported.ts")).unsupported(step, context);
  }
}
