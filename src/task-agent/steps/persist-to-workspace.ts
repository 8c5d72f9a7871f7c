import { realpathSync, statSync } from "node:fs";
import type { StepOutcome } from "../../protocol/records.ts";
import type { PersistToWorkspaceStep } from "../../protocol/task.ts";
import { type PackedArchive, packArchive } from "../archive/archive.ts";
import type { Source } from "../archive/pack.ts";
import { resolvePath } from "../workspace/places.ts";
import { type StepContext, StepFailure, succeeded } from "./context.ts";
import { glob } from "./glob.ts";
import { packOptions } from "./save-cache.ts";
import { totalsText } from "./words.ts";

/** Adds what the patterns match below the root to the workflow's workspace. */
export async function persistToWorkspace(step: PersistToWorkspaceStep, context: StepContext): Promise<StepOutcome> {
  const root = resolvePath(step.root, context.places.home, context.places.workingDirectory);
  if (!statSync(root, { throwIfNoEntry: false })?.isDirectory())
    throw new StepFailure(`The root ${root} is no directory. Make it in an earlier step, or correct \`root\`.`);
  const sources = matches(root, step.paths);
  let archive: PackedArchive | undefined;
  await context.channel.ask(
    { op: "persist-workspace", step: context.number },
    {
      signal: context.signal,
      send: () => {
        archive = packArchive(sources, packOptions(context));
        return archive.bytes;
      },
      receive: async () => {},
    },
  );
  context.output.say(`Persisted ${totalsText(archive?.totals)} of ${root} to the workspace`);
  return succeeded;
}

function matches(root: string, patterns: readonly string[]): Source[] {
  const directory = realpathSync(root, "latin1");
  const names = new Set<string>();
  for (const pattern of patterns) {
    if (pattern.startsWith("/") || pattern.split("/").includes(".."))
      throw new StepFailure(
        `The path "${pattern}" is not below the root. Paths are relative to \`root\`, without \`..\`.`,
      );
    for (const name of matchesOf(directory, pattern)) names.add(name);
  }
  if (names.size === 0)
    throw new StepFailure(`The paths ${patterns.join(", ")} match nothing in ${root}. Is it made before this step?`);
  return [...names]
    .filter((name) => !hasParentIn(name, names))
    .map((name) => ({ path: name === "" ? directory : `${directory}/${name}`, name }));
}

function matchesOf(directory: string, pattern: string): string[] {
  try {
    return glob(directory, pattern);
  } catch (cause) {
    throw new StepFailure(`The path "${pattern}" is no pattern: ${(cause as Error).message}.`, { cause });
  }
}

/** `a` brings `a/b` with it. */
function hasParentIn(name: string, names: ReadonlySet<string>): boolean {
  if (name !== "" && names.has("")) return true;
  for (let slash = name.lastIndexOf("/"); slash > 0; slash = name.lastIndexOf("/", slash - 1))
    if (names.has(name.slice(0, slash))) return true;
  return false;
}
