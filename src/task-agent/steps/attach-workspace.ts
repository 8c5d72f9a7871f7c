import type { StepOutcome } from "../../protocol/records.ts";
import type { AttachWorkspaceStep } from "../../protocol/task.ts";
import { unpackArchive } from "../archive/archive.ts";
import { makeDirectory } from "../workspace/make-directory.ts";
import { resolvePath } from "../workspace/places.ts";
import { type StepContext, succeeded } from "./context.ts";
import { explained, totalsText } from "./words.ts";

/** Lays what the jobs upstream have persisted over one another, in the order of the graph. */
export async function attachWorkspace(step: AttachWorkspaceStep, context: StepContext): Promise<StepOutcome> {
  const { channel, output, signal, places } = context;
  const root = resolvePath(step.at, places.home, places.workingDirectory);
  makeDirectory(root);
  const layers = await channel.ask(
    { op: "list-workspace" },
    { signal, receive: async (result) => result.layers ?? [] },
  );
  if (layers.length === 0)
    output.say("Nothing has been persisted to the workspace by the jobs that this one requires.");
  for (const { id } of layers) {
    const totals = await channel.ask(
      { op: "fetch-workspace", layer: id },
      {
        signal,
        receive: async (_result, body) => {
          const onSkipped = (name: string, reason: string): void => output.say(`Skipped ${name}: ${reason}`);
          return await explained("A layer of the workspace", unpackArchive(body, { root, onSkipped }));
        },
      },
    );
    output.say(`Attached ${totalsText(totals)} at ${root}`);
  }
  return succeeded;
}
