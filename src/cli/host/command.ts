import type { Command } from "commander";
import type { Cli } from "../io.ts";
import { Host } from "./client.ts";
import { addHostOptions, type HostOptions } from "./options.ts";

const exitCodes = "\nExit codes: 0 done · 2 refused, or bad usage · 3 the host cannot be asked";

/** Adds what every command that speaks to a control plane has. */
export function hostCommand(command: Command): Command {
  return addHostOptions(command).addHelpText("after", exitCodes);
}

/** Does something with the host that the options name. */
export async function withHost(cli: Cli, options: HostOptions, work: (host: Host) => Promise<void>): Promise<void> {
  await using host = Host.of(cli.io, options);
  await work(host);
}
