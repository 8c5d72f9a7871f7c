import type { StepOutcome } from "../../protocol/records.ts";
import { StepFailure } from "./context.ts";

export async function storeTestResults(_step: unknown, _context: unknown): Promise<StepOutcome> {
  throw new StepFailure("not built yet");
}
