import { Command, Option } from "commander";
import type { CompiledConfig } from "../../config/index.ts";
import { exitCode } from "../io.ts";
import type { Cli } from "../program.ts";
import { defaultConfig } from "./input.ts";
import { drawMermaid } from "./mermaid.ts";
import { addCompileOptions, type CompileOptions } from "./options.ts";
import { drawTree } from "./tree.ts";

export function graphCommand(cli: Cli): Command {
  const command = new Command("graph")
    .summary("draw which job waits for which")
    .description("Compiles a config and draws the jobs of its workflows, as a tree or for Mermaid.")
    .argument("[FILE]", "the config; - is standard input", defaultConfig)
    .addOption(new Option("--format <FORMAT>", "what to draw").choices(["tree", "mermaid"]).default("tree"));
  return addCompileOptions(command)
    .addHelpText("after", "\nExit codes: 0 drawn · 2 the config does not compile, or bad usage")
    .action(async (file: string, { format, ...options }: CompileOptions & { format: "tree" | "mermaid" }) => {
      const { compileFile, renderFindings } = await import("./compile.ts");
      const compiled = await compileFile(cli.io, file, options);
      if (compiled.failed || !compiled.result.compiled) {
        cli.io.stderr.write(renderFindings(compiled));
        return cli.exit(exitCode.usage);
      }
      const workflows = graphOf(compiled.result.compiled);
      cli.io.stdout.write(format === "mermaid" ? drawMermaid(workflows) : drawTree(workflows));
    });
}

/** One workflow as a graph: jobs in the order of the config, each with what it waits for. */
export interface WorkflowGraph {
  name: string;
  jobs: GraphJob[];
}

export interface GraphJob {
  name: string;
  /** Absent for an ordinary build. */
  type?: string;
  /** Names of other jobs, with the outcomes that are waited for; none stands for success. */
  requires: { name: string; statuses: string[] }[];
}

export function graphOf(config: CompiledConfig): WorkflowGraph[] {
  return Object.entries(config.workflows).map(([name, workflow]) => ({
    name,
    jobs: workflow.jobs.map((invocation) => graphJob(config, invocation)),
  }));
}

type Invocation = CompiledConfig["workflows"][string]["jobs"][number];

function graphJob(config: CompiledConfig, invocation: Invocation): GraphJob {
  const [name, options] =
    typeof invocation === "string" ? [invocation, {}] : (Object.entries(invocation)[0] ?? ["", {}]);
  const type = options.type ?? config.jobs[name]?.type;
  const requires = (options.requires ?? []).map((one) => {
    if (typeof one === "string") return { name: one, statuses: [] };
    const [required, statuses] = Object.entries(one)[0] ?? ["", []];
    return { name: required, statuses: [statuses].flat() };
  });
  return { name, ...(type && type !== "build" && { type }), requires };
}
