import { isExecutable, knowsPipefail } from "../process/probe.ts";
import { StepFailure } from "./context.ts";

let found: readonly [string, ...string[]] | undefined;

/** The command line that a script is given to: the step's own, the job's, or what the image has. Throws StepFailure. */
export function shellFor(configured: string | undefined): readonly [string, ...string[]] {
  if (configured === undefined) return (found ??= findShell());
  const [program, ...args] = splitWords(configured);
  if (program === undefined) throw new StepFailure("The shell of this step is empty. Give one, such as `/bin/sh -e`.");
  return [program, ...args];
}

function findShell(): readonly [string, ...string[]] {
  if (isExecutable("/bin/bash")) return ["/bin/bash", "-eo", "pipefail"];
  if (!isExecutable("/bin/sh"))
    throw new StepFailure(
      "The image has neither /bin/bash nor /bin/sh, so no command can run in it. Choose an image with a shell, or name its own with `shell:`.",
    );
  return knowsPipefail("/bin/sh") ? ["/bin/sh", "-eo", "pipefail"] : ["/bin/sh", "-e"];
}

/** Words of a command line, with quotes and backslashes as a shell has them. */
export function splitWords(line: string): string[] {
  const words: string[] = [];
  for (const match of line.matchAll(/(?:[^\s"'\\]|\\[^]|"(?:[^"\\]|\\[^])*"|'[^']*')+/g))
    words.push(unquoted(match[0]));
  return words;
}

function unquoted(word: string): string {
  return word.replaceAll(/\\([^])|"((?:[^"\\]|\\[^])*)"|'([^']*)'/g, (_all, escaped, double, single) => {
    if (typeof escaped === "string") return escaped;
    return typeof double === "string" ? double.replaceAll(/\\(["\\$`])/g, "$1") : String(single);
  });
}
