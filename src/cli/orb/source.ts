import { Command } from "commander";
import type { OrbSource } from "../../config/index.ts";
import { addOrbOptions, type OrbOptions } from "../config/options.ts";
import { addHostOptions, type HostOptions, hostError, hostRegistry } from "../host/options.ts";
import { type Cli, CommandError, exitCode, type Io } from "../io.ts";
import { parseReference } from "./reference.ts";

export function sourceCommand(cli: Cli): Command {
  const command = new Command("source")
    .summary("print the text of an orb")
    .description("Prints the text of an orb, as configs that name it get it.")
    .argument("ORB", "NAMESPACE/NAME@VERSION, such as acme/tools@1.2");
  return addHostOptions(addOrbOptions(command))
    .addHelpText("after", "\nExit codes: 0 found · 2 not found, or bad usage · 3 a registry cannot be asked")
    .action(async (orb: string, options: OrbOptions & HostOptions) => {
      const reference = parseReference(orb);
      const source = await sourceOf(cli.io, options);
      const answer = await source.find(reference, cli.io.interrupted);
      if (answer.found) return void cli.io.stdout.write(answer.text);
      const { reason, detail = reason, known = [] } = answer;
      if (reason === "unavailable" || reason === "forbidden") throw hostError(`cannot find ${orb}`, { reason, detail });
      const others = known.length > 0 ? ` There are: ${known.slice(0, 20).join(", ")}.` : "";
      throw new CommandError(`cannot find ${orb}: ${detail}.${others}`, { exitCode: exitCode.usage });
    });
}

/** The host alone, where one is named; an option that says where orbs are goes before CIRCLE_HOST. */
async function sourceOf(io: Io, options: OrbOptions & HostOptions): Promise<OrbSource> {
  const elsewhere = options.orbDir ?? options.orbRegistry ?? options.orbUrl;
  const registry = options.host === undefined && elsewhere ? undefined : hostRegistry(io, options);
  if (!registry) return (await import("../orbs.ts")).orbSource(io, options);
  return (await import("../../orbs/index.ts")).orbRegistry(registry);
}
