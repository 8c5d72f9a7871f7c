import type { StepOutcome } from "../../protocol/records.ts";
import type { UnsupportedStep } from "../../protocol/task.ts";
import { type StepContext, StepFailure, succeeded } from "./context.ts";

/** A step that this runner knows and does not run. */
export async function unsupported(step: UnsupportedStep, context: StepContext): Promise<StepOutcome> {
  if (step.fails) throw new StepFailure(step.reason);
  context.output.say(step.reason);
  return succeeded;
}
