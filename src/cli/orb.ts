import { resolve } from "node:path";
import { Command } from "commander";
import type { RegistryOrbReference } from "../config/index.ts";
import { collected, readInput } from "./config/input.ts";
import { addOrbOptions, type OrbOptions } from "./config/options.ts";
import { type Cli, CommandError, exitCode } from "./io.ts";

export function orbCommand(cli: Cli): Command {
  const command = new Command("orb")
    .summary("pack, check and look up orbs")
    .description(
      "Orbs are shared pieces of configs. A folder of them, NAMESPACE/NAME/VERSION.yml, is used with --orb-dir.",
    );
  for (const part of [packOrb, validate, list, source]) command.addCommand(part(cli));
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

function list(cli: Cli): Command {
  return new Command("list")
    .summary("list the orbs of folders")
    .description("Lists the orbs of folders with their versions, newest first.")
    .argument("[NAMESPACE]", "only the orbs of this namespace")
    .requiredOption("--orb-dir <DIR>", "orbs as NAMESPACE/NAME/VERSION.yml (repeatable)", collected)
    .option("--json", "as JSON: [{name, versions}]", false)
    .action(async (namespace: string | undefined, { orbDir, json }: { orbDir: string[]; json: boolean }) => {
      const { listOrbs } = await import("../orbs/index.ts");
      const found = await Promise.all(orbDir.map((directory) => listOrbs(resolve(cli.io.cwd, directory))));
      const orbs = found.flat().filter(({ name }) => namespace === undefined || name.startsWith(`${namespace}/`));
      const lines = orbs.map(({ name, versions }) => `${name}  ${versions.join(" ")}\n`);
      cli.io.stdout.write(json ? `${JSON.stringify(orbs, null, 2)}\n` : lines.join(""));
    });
}

function source(cli: Cli): Command {
  const command = new Command("source")
    .summary("print the text of an orb")
    .description("Prints the text of an orb, as configs that name it get it.")
    .argument("ORB", "NAMESPACE/NAME@VERSION, such as acme/tools@1.2");
  return addOrbOptions(command)
    .addHelpText("after", "\nExit codes: 0 found · 2 not found, or bad usage")
    .action(async (orb: string, options: OrbOptions) => {
      const { orbSource } = await import("./orbs.ts");
      const answer = await orbSource(cli.io, options).find(parseReference(orb), cli.io.interrupted);
      if (!answer.found) {
        const known = answer.known?.length ? ` There are: ${answer.known.slice(0, 20).join(", ")}.` : "";
        throw new CommandError(`cannot find ${orb}: ${answer.detail ?? answer.reason}.${known}`, {
          exitCode: exitCode.usage,
        });
      }
      cli.io.stdout.write(answer.text);
    });
}

/** Without a version the newest release is meant. */
function parseReference(orb: string): RegistryOrbReference {
  const [, namespace, name, version = "volatile"] = /^([^/@]+)\/([^/@]+)(?:@(.+))?$/.exec(orb) ?? [];
  if (namespace !== undefined && name !== undefined) return { kind: "registry", namespace, name, version };
  throw new CommandError(`"${orb}" is not of the form NAMESPACE/NAME@VERSION`, { exitCode: exitCode.usage });
}
