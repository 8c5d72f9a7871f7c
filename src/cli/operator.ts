import type { Command } from "commander";
import { agentsCommand } from "./agents.ts";
import type { Cli } from "./io.ts";
import { approveCommand, cancelCommand, followCommand } from "./pipeline.ts";
import { resourceClassCommand } from "./resource-class.ts";
import { tasksCommand } from "./tasks.ts";
import { tokenCommand } from "./token.ts";
import { triggerCommand } from "./trigger.ts";

/** The commands that speak to a control plane. */
export function operatorCommands(cli: Cli): Command[] {
  const commands = [triggerCommand, followCommand, cancelCommand, approveCommand, agentsCommand, tasksCommand];
  return [...commands, resourceClassCommand, tokenCommand].map((command) => command(cli));
}
