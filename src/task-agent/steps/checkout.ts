import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import type { StepOutcome } from "../../protocol/records.ts";
import type { CheckoutStep } from "../../protocol/task.ts";
import { unpackArchive } from "../archive/archive.ts";
import { makeDirectory } from "../workspace/make-directory.ts";
import { resolvePath } from "../workspace/places.ts";
import { type StepContext, StepFailure, succeeded } from "./context.ts";
import { explained, totalsText } from "./words.ts";

/** Puts the source tree into the working directory. The launch agent has it: the container needs neither git nor a network. */
export async function checkout(step: CheckoutStep, context: StepContext): Promise<StepOutcome> {
  const { home, workingDirectory } = context.places;
  const path = step.path === undefined ? workingDirectory : resolvePath(step.path, home, workingDirectory);
  checkTarget(path);
  const depth = step.depth === undefined ? {} : { depth: step.depth };
  const totals = await context.channel.ask(
    { op: "checkout", method: step.method, ...depth },
    {
      signal: context.signal,
      receive: async (_result, body) =>
        await explained("The source tree", unpackArchive(body, { root: path, onSkipped: sayTo(context) })),
    },
  );
  context.output.say(`Checked out ${totalsText(totals)} into ${path}`);
  return succeeded;
}

function sayTo(context: StepContext): (name: string, reason: string) => void {
  return (name, reason) => context.output.say(`Skipped ${name}: ${reason}`);
}

function checkTarget(path: string): void {
  makeDirectory(path);
  if (readdirSync(path).length === 0 || existsSync(join(path, ".git"))) return;
  throw new StepFailure(
    `The directory ${path}, which is to be checked out to, is not empty and not a git repository. ` +
      "Put `checkout` before the steps that write into it, or give it another `path`.",
  );
}
