import { Command, Option } from "commander";
import { type Cli, exitCode } from "../io.ts";
import { defaultConfig } from "./input.ts";
import { drawMermaid } from "./mermaid.ts";
import { addCompileOptions, type CompileOptions } from "./options.ts";
import { drawTree } from "./tree.ts";
import { graphOf } from "./workflow-graph.ts";

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
