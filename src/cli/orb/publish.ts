import { Command } from "commander";
import { readInput } from "../config/input.ts";
import { addHostOptions, type HostOptions, hostError, hostRegistry } from "../host/options.ts";
import { type Cli, CommandError, exitCode } from "../io.ts";
import { parseReference } from "./reference.ts";

export function publishCommand(cli: Cli): Command {
  const command = new Command("publish")
    .summary("publish an orb in a control plane")
    .description(
      "Publishes a packed orb. A version 1.2.3 is published once and never changes; dev:LABEL can be published again,\n" +
        "and is kept for 90 days. Namespace and orb come to be with their first version.",
    )
    .argument("FILE", "the packed orb; - is standard input")
    .argument("ORB", "NAMESPACE/NAME@VERSION, such as acme/tools@1.2.3 or acme/tools@dev:next");
  return addHostOptions(command)
    .addHelpText("after", "\nExit codes: 0 published · 2 refused, or bad usage · 3 the host cannot be asked")
    .action((file: string, orb: string, options: HostOptions) => publish(cli, { file, orb, options }));
}

async function publish(cli: Cli, asked: { file: string; orb: string; options: HostOptions }): Promise<void> {
  const { file, orb, options } = asked;
  const reference = parseReference(orb);
  if (!orb.includes("@")) throw new CommandError(`say which version: ${orb}@1.2.3`, { exitCode: exitCode.usage });
  const registry = hostRegistry(cli.io, options);
  if (!registry)
    throw new CommandError("say where to publish: with --host URL, or CIRCLE_HOST", { exitCode: exitCode.usage });
  const text = await readInput(cli.io, file);
  const { publishOrb } = await import("../../orbs/index.ts");
  const answer = await publishOrb(registry, reference, { text, signal: cli.io.interrupted });
  if ("ok" in answer) throw hostError(`cannot publish ${orb}`, answer);
  if (!answer.published)
    throw new CommandError(
      `${registry.url} does not take ${orb}:\n${answer.refused.map((one) => one.trimEnd()).join("\n\n")}`,
      {
        exitCode: exitCode.usage,
      },
    );
  cli.io.stdout.write(`Published ${orb} at ${registry.url}.\n`);
}
