import { resolve } from "node:path";
import { Command } from "commander";
import type { ListedOrb } from "../../orbs/index.ts";
import { collected } from "../config/input.ts";
import { addHostOptions, type HostOptions, hostError, hostRegistry } from "../host/options.ts";
import { type Cli, CommandError, exitCode, type Io } from "../io.ts";

interface ListOptions extends HostOptions {
  orbDir?: string[];
  json: boolean;
}

export function listCommand(cli: Cli): Command {
  const command = new Command("list")
    .summary("list the orbs of folders, or of a control plane")
    .description("Lists orbs with their versions, newest first.")
    .argument("[NAMESPACE]", "only the orbs of this namespace")
    .option("--orb-dir <DIR>", "a folder of orbs as NAMESPACE/NAME/VERSION.yml (repeatable)", collected)
    .option("--json", "as JSON: [{name, versions}]", false);
  return addHostOptions(command)
    .addHelpText("after", "\nExit codes: 0 listed · 2 not allowed, or bad usage · 3 the host cannot be asked")
    .action(async (namespace: string | undefined, options: ListOptions) => {
      const orbs = await listed(cli.io, namespace, options);
      const lines = orbs.map(({ name, versions }) => `${name}  ${versions.join(" ")}\n`);
      cli.io.stdout.write(options.json ? `${JSON.stringify(orbs, null, 2)}\n` : lines.join(""));
    });
}

async function listed(io: Io, namespace: string | undefined, options: ListOptions): Promise<ListedOrb[]> {
  const { listOrbs, listRegistryOrbs } = await import("../../orbs/index.ts");
  const { orbDir = [], host } = options;
  // CIRCLE_HOST is set for many commands: whoever names a folder means the folder.
  const registry = orbDir.length > 0 && host === undefined ? undefined : hostRegistry(io, options);
  if (orbDir.length === 0 && !registry)
    throw new CommandError("say whose orbs: with --orb-dir DIR, --host URL, or CIRCLE_HOST", {
      exitCode: exitCode.usage,
    });
  const found = await Promise.all(orbDir.map((directory) => listOrbs(resolve(io.cwd, directory))));
  const orbs = found.flat().filter(({ name }) => namespace === undefined || name.startsWith(`${namespace}/`));
  if (!registry) return orbs;
  const answer = await listRegistryOrbs(registry, { namespace, signal: io.interrupted });
  if (!answer.ok) throw hostError("cannot list orbs", answer);
  return [...orbs, ...answer.orbs];
}
