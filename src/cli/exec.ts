import { Command, InvalidArgumentError } from "commander";
import type { ExecOptions } from "./exec/options.ts";
import type { Cli } from "./io.ts";

export function execCommand(cli: Cli): Command {
  return new Command("exec")
    .summary("run the pipeline of a directory, here and now")
    .description(
      "Runs the workflows of DIR/.circleci/config.yml on this machine, every task in a fresh container. " +
        "The tree is taken as it stands: uncommitted changes are in, git-ignored files are out. " +
        "Caches and artifacts are kept between runs.",
    )
    .argument("[DIR]", "directory of the project", ".")
    .option("-c, --config <FILE>", "another config than DIR/.circleci/config.yml; - is standard input")
    .option("-w, --workflow <NAME>", "only this workflow")
    .option("-j, --job <NAME>", "only this job, and what it requires")
    .option(
      "-e, --env <K=V>",
      "a project variable, masked in output; K alone takes it from the environment",
      collectEnv(cli),
    )
    .option("-p, --param <K=V>", "a pipeline parameter (repeatable)", collect)
    .option("--context-file <NAME=FILE>", "a context: lines of K=V, masked in output (repeatable)", collect)
    .option("-t, --tail <JOB>", "show the output of this job as it comes")
    .option("--approve <JOB>", "let this approval job pass; all lets every one pass", append)
    .option("--orb-dir <DIR>", "orbs as NAMESPACE/NAME/VERSION.yml, looked at first (repeatable)", append)
    .option("--json", "one event a line, on standard output")
    .addHelpText("after", footer)
    .action(async (directory: string, given: Partial<ExecOptions>) => {
      const { runExec } = await import("./exec/run.ts");
      cli.exit(
        await runExec(
          { env: {}, param: {}, contextFile: {}, approve: [], orbDir: [], json: false, ...given, directory },
          cli.io,
        ),
      );
    });
}

const footer = `
Artifacts, caches and logs lie under $XDG_DATA_HOME/cofferdam (~/.local/share/cofferdam).
Ctrl-C cancels and cleans up; a second one does not wait for steps to end politely.

Exit codes: 0 green · 1 red · 2 bad usage or config · 3 no engine, or infrastructure failed · 130 interrupted`;

function collect(text: string, previous: Record<string, string> = {}): Record<string, string> {
  const at = text.indexOf("=");
  if (at < 1) throw new InvalidArgumentError(`"${text}" is not of the form name=value.`);
  return { ...previous, [text.slice(0, at)]: text.slice(at + 1) };
}

function append(text: string, previous: string[] = []): string[] {
  return [...previous, text];
}

function collectEnv(cli: Cli): typeof collect {
  return (text, previous) => {
    if (text.includes("=")) return collect(text, previous);
    const value = cli.io.env[text];
    if (value === undefined)
      throw new InvalidArgumentError(`${text} is not set in this environment; give it as ${text}=value.`);
    return { ...previous, [text]: value };
  };
}
