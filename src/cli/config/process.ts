import { Command } from "commander";
import { type Cli, exitCode } from "../io.ts";
import { defaultConfig } from "./input.ts";
import { addCompileOptions, type CompileOptions } from "./options.ts";

export function processCommand(cli: Cli): Command {
  const command = new Command("process")
    .summary("print what a config compiles to")
    .description(
      "Compiles a config and prints the result: version 2, without orbs, parameters, matrices or templates.\n" +
        "Findings go to standard error.",
    )
    .argument("[FILE]", "the config; - is standard input", defaultConfig);
  return addCompileOptions(command)
    .addHelpText("after", "\nExit codes: 0 it compiles · 2 it does not, or bad usage")
    .action(async (file: string, options: CompileOptions) => {
      const { compileFile, printCompiled, renderFindings } = await import("./compile.ts");
      const compiled = await compileFile(cli.io, file, options);
      cli.io.stderr.write(renderFindings(compiled));
      const config = compiled.result.compiled;
      if (!config) return cli.exit(exitCode.usage);
      cli.io.stdout.write(printCompiled(config, { source: compiled.text, orbs: compiled.result.orbs }));
    });
}
