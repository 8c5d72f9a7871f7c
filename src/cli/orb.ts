import { resolve } from "node:path";
import { Command } from "commander";
import { readInput } from "./config/input.ts";
import { addOrbOptions, type OrbOptions } from "./config/options.ts";
import { type Cli, exitCode } from "./io.ts";
import { listCommand } from "./orb/list.ts";
import { publishCommand } from "./orb/publish.ts";
import { sourceCommand } from "./orb/source.ts";

export function orbCommand(cli: Cli): Command {
  const command = new Command("orb")
    .summary("pack, check, publish and look up orbs")
    .description(
      "Orbs are shared pieces of configs. A folder of them, NAMESPACE/NAME/VERSION.yml, is used with --orb-dir,\n" +
        "a control plane that has published them with --orb-registry URL.",
    );
  for (const part of [packOrb, validate, publishCommand, listCommand, sourceCommand]) command.addCommand(part(cli));
  return command;
}

/** Folders of an orb's source; what else lies beside them (scripts, tests) is taken by includes alone. */
const orbFolders = ["commands", "examples", "executors", "jobs"];

function packOrb(cli: Cli): Command {
  return new Command("pack")
    .summary("make one orb of a directory")
    .description(
      `Makes one orb of a directory: @orb.yml, and the files under ${orbFolders.join(", ")}.\n` +
        "A text `<<include(FILE)>>` stands for the text of a file, named from the directory.",
    )
    .argument("DIR", "the directory with @orb.yml")
    .action(async (directory: string) => {
      const { packDirectory } = await import("./config/pack-directory.ts");
      cli.io.stdout.write(await packDirectory(resolve(cli.io.cwd, directory), { folders: orbFolders }));
    });
}

function validate(cli: Cli): Command {
  const command = new Command("validate")
    .summary("say what is wrong with an orb")
    .description("Checks a packed orb, and everything that it defines.")
    .argument("FILE", "the packed orb; - is standard input");
  return addOrbOptions(command)
    .addHelpText("after", "\nExit codes: 0 no error, perhaps warnings · 2 errors, or bad usage")
    .action(async (file: string, options: OrbOptions) => {
      const { renderDiagnostics, validateOrb } = await import("../config/index.ts");
      const { orbSource } = await import("./orbs.ts");
      const text = await readInput(cli.io, file);
      const name = file === "-" ? "<stdin>" : file;
      const { diagnostics, texts } = await validateOrb(text, { file: name, orbs: orbSource(cli.io, options) });
      cli.io.stdout.write(renderDiagnostics(diagnostics, texts));
      if (diagnostics.some((one) => one.severity === "error")) return cli.exit(exitCode.usage);
      cli.io.stdout.write(`Orb at ${name} is valid.\n`);
    });
}
