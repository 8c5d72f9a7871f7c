import { Command, Option } from "commander";
import { type Cli, exitCode } from "../io.ts";
import { defaultConfig } from "./input.ts";
import { addCompileOptions, type CompileOptions } from "./options.ts";
import type { Format } from "./tell.ts";

interface ValidateOptions extends CompileOptions {
  format: Format;
  config?: string;
}

export function validateCommand(cli: Cli): Command {
  const command = new Command("validate")
    .summary("say what is wrong with configs")
    .description("Compiles configs and tells every error and warning with its place, the way there, and what to do.")
    .argument("[FILE...]", `the configs; - is standard input (default: ${defaultConfig})`)
    // CircleCI's command line names its one file so.
    .addOption(new Option("-c, --config <FILE>").hideHelp())
    .addOption(
      new Option("--format <FORMAT>", "how findings are told").choices(["text", "json", "sarif"]).default("text"),
    );
  return addCompileOptions(command)
    .addHelpText("after", "\nExit codes: 0 no error, perhaps warnings · 2 errors, or bad usage")
    .action(async (named: string[], { format, config, ...options }: ValidateOptions) => {
      const files = [...named, ...(config === undefined ? [] : [config])];
      const { compileFile } = await import("./compile.ts");
      const { tellFindings } = await import("./tell.ts");
      const compiled = [];
      for (const file of files.length > 0 ? files : [defaultConfig])
        compiled.push(await compileFile(cli.io, file, options));
      tellFindings(cli.io, format, compiled);
      cli.exit(compiled.some((one) => one.failed) ? exitCode.usage : exitCode.success);
    });
}
