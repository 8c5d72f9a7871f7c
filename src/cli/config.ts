import { Command } from "commander";
import { evalCommand } from "./config/eval.ts";
import { explainCommand } from "./config/explain.ts";
import { graphCommand } from "./config/graph.ts";
import { packCommand } from "./config/pack.ts";
import { processCommand } from "./config/process.ts";
import { validateCommand } from "./config/validate.ts";
import type { Cli } from "./io.ts";

export function configCommand(cli: Cli): Command {
  const command = new Command("config")
    .summary("look at a config without running it")
    .description(
      "Compiles, checks, draws and packs configs. Nothing is run, and nothing is sent but questions for orbs.",
    );
  for (const part of [processCommand, validateCommand, evalCommand, graphCommand, packCommand, explainCommand]) {
    command.addCommand(part(cli));
  }
  return command;
}
